// Products of bf16 pairs in the tile registers of x86 (AMX): each is 16 rows of 64 bytes, and one instruction multiplies two of them.
//
//   C[16,16] += A[16,32] B[32,16]: a row of A is 16 pairs of k; a row of B is the pair of one k and k + 1 for 16 columns
//
// That is how gemm_pairs.hpp packs both. Sums are float32; denormals count as 0. (Intel, Architecture Instruction Set Extensions
// Programming Reference, TDPBF16PS.) Without tiles these are names alone, and a step is one pair.
#pragma once
#include <utility>

#include "cpu/vec.hpp"

namespace pacac {

/// `count` steps of 16 pairs of A: from row to row it is `row` floats, from step to step `step` floats.
struct TileSteps {
  const float* from;
  std::int64_t row, step, count;
};

/// Rows of A: their steps, and those behind them that lie elsewhere.
struct TileStrip {
  TileSteps steps, rest;
  /// `count` steps from `first` on.
  TileStrip part(std::int64_t first, std::int64_t count) const {
    const std::int64_t skipped = first < steps.count ? first : steps.count, left = steps.count - skipped;
    const std::int64_t own = count < left ? count : left;
    return {{steps.from + skipped * steps.step, steps.row, steps.step, own},
            {rest.from + (first - skipped) * rest.step, rest.row, rest.step, count - own}};
  }
};

#ifdef PACAC_ISA_AMX_BF16
/// Pairs of k that a step of a micro-kernel takes.
constexpr std::int64_t kPairsTogether = 16;

/// While it lives, this thread's eight tile registers are whole ones. Released, they cost a switch of threads nothing.
class TileRegisters {
 public:
  TileRegisters() {
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shape;
    // (GCC's _tile_loadconfig says that it reads eight bytes: the others may then be written after it.)
    asm volatile("ldtilecfg\t%0" ::"m"(shape));
  }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Instructions on tile registers, by number. (The compiler's own take literals, and do not tell it that they touch memory.)
template <int tile>
inline void zero_tile() {
  asm volatile("tilezero\t%%tmm%c0" ::"i"(tile));
}
/// 16 rows of 64 bytes, `row` floats apart.
template <int tile>
inline void load_tile(const float* from, std::int64_t row) {
  asm volatile("tileloadd\t(%0,%1,1), %%tmm%c2" ::"r"(from), "r"(row * 4), "i"(tile) : "memory");
}
template <int tile>
inline void store_tile(float* to, std::int64_t row) {
  asm volatile("tilestored\t%%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(row * 4), "i"(tile) : "memory");
}
/// sums += a b.
template <int sums, int a, int b>
inline void multiply_tile() {
  asm volatile("tdpbf16ps\t%%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
}

/// body(i) for i = 0 … count - 1, each a constant.
template <int count, class Body>
[[gnu::always_inline]] inline void each_tile(const Body& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, count>{});
}

/// Nothing is done between tiles.
struct Idle {
  void operator()() const {}
};

/// C[16 high, 16 wide] = Σ A B over all steps of `a`, or += where `add`. From row to row of B and C it is b_row and c_row floats.
/// `beside` is called once a step: what it does in vectors goes on while tiles are multiplied.
///
/// Sums have registers of their own, and so have the tiles of A; one of B follows another in the same register. Every write takes a register
/// from a pool that the core's two threads share, until the next write or zero to the same name: where another program uses tiles on
/// the second thread, little is left of it. Few names are then faster (a product of a 32x16 in four takes 12 ns, of 48x16 in five 12.5, of
/// 64x16 in six 15, of 32x32 in seven 18; otherwise all take 6; medians on a core of a Xeon, operands in the L1 cache), and so is
/// to zero what was used: that costs nothing and gives its register back (32x32: 14 for 18 ns; 32x16 with B from L2 1.03 to 1.08 x).
template <int high, int wide, bool add = false, class Beside = Idle>
[[gnu::always_inline]] inline void multiply_tiles(const TileStrip& a, const float* b, std::int64_t b_row, float* c,
                                                  std::int64_t c_row, const Beside& beside = {}) {
  constexpr int kSums = high * wide, kA = high > 1 && wide > 1 ? high : 1, kB = kSums + kA;
  static_assert(kB < 8);
  constexpr std::int64_t kSide = 16;
  each_tile<kSums>([&](auto i) __attribute__((always_inline)) {
    if constexpr (add) load_tile<i>(c + (i / wide * c_row + i % wide) * kSide, c_row);
    else zero_tile<i>();
  });
  // By value: what stands in memory would be read again after each instruction that may write there.
  const auto take = [&](TileSteps steps) __attribute__((always_inline)) {
    const float* rows = steps.from;
    for (std::int64_t step = 0; step < steps.count; step++, rows += steps.step, b += kSide * b_row) {
      each_tile<wide>([&](auto j) __attribute__((always_inline)) {
        load_tile<kB>(b + j * kSide, b_row);
        each_tile<high>([&](auto i) __attribute__((always_inline)) {
          constexpr int kOwn = kSums + i % kA;
          if constexpr (j == 0) load_tile<kOwn>(rows + i * kSide * steps.row, steps.row);
          multiply_tile<i * wide + j, kOwn, kB>();
          if constexpr (j == wide - 1) zero_tile<kOwn>();
        });
        zero_tile<kB>();
      });
      beside();
    }
  };
  take(a.steps);
  take(a.rest);
  each_tile<kSums>([&](auto i) __attribute__((always_inline)) {
    store_tile<i>(c + (i / wide * c_row + i % wide) * kSide, c_row);
  });
}

/// p[0 … 32) as 16 pairs, rounded to bf16.
inline Vec pairs_along(const float* p) {
  const __m512bh pairs = _mm512_cvtne2ps_pbh(load(p + Vec::lanes).v, load(p).v);
  Vec result;
  std::memcpy(&result, &pairs, sizeof pairs);
  return result;
}
inline Vec pairs_along(const bf16* p) { return load_pairs(p); }

/// Words 0, 16, 1, 17, … of a vector: pairs of its halves.
inline Vec interleave(__m512i words) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                           8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return {_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xffffffffu, _mm512_load_si512(kOrder), words))};
}

/// The pair of a lane of `first` and of `second`, rounded to bf16.
inline Vec join_rounded(Vec first, Vec second) {
  const __m512bh both = _mm512_cvtne2ps_pbh(second.v, first.v);
  __m512i words;
  std::memcpy(&words, &both, sizeof both);
  return interleave(words);
}

/// 16 values at `first` and 16 at `second` as pairs.
inline Vec pairs_across(const float* first, const float* second) { return join_rounded(load(first), load(second)); }
inline Vec pairs_across(const bf16* first, const bf16* second) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second));
  return interleave(_mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(low), high, 1));
}
#else
constexpr std::int64_t kPairsTogether = 1;
struct TileRegisters {};
struct Idle {};
template <int high, int wide, bool add = false, class Beside = Idle>
void multiply_tiles(const TileStrip& a, const float* b, std::int64_t b_row, float* c, std::int64_t c_row, const Beside& beside = {});
template <class E>
Vec pairs_along(const E* p);
#endif
constexpr bool kHasTiles = kPairsTogether > 1;

/// Pairs that `deep` values of k are packed into; those beyond are zeros.
constexpr std::int64_t pairs_of(std::int64_t deep) {
  return (deep + 2 * kPairsTogether - 1) / (2 * kPairsTogether) * kPairsTogether;
}

}  // namespace pacac
