// Products of bf16 pairs in the tile registers of x86 (AMX): each is 16 rows of 64 bytes, and one instruction multiplies two of them.
//
//   C[16,16] += A[16,32] B[32,16]: a row of A is 16 pairs of k; a row of B is the pair of one k and k + 1 for 16 columns
//
// That is how gemm_pairs.hpp packs both. Sums are float32; denormals count as 0. (Intel, Architecture Instruction Set Extensions
// Programming Reference, TDPBF16PS.) A processor without tiles has these by
// name alone: a step is one pair then.
#pragma once
#include "cpu/vec.hpp"

namespace pacac {

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
    _tile_loadconfig(&shape);
  }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

/// C[16 high, 16 wide] = Σ A B over `steps` steps of 16 pairs, or += where `add`; high and wide are 1 or 2 tiles. From row to row of A, B
/// and C it is a_row, b_row and c_row floats, from step to step of A a_step floats. Two tiles each way share what is loaded: four
/// products take four loads.
template <int high, int wide, bool add = false>
[[gnu::always_inline]] inline void multiply_tiles(const float* a, std::int64_t a_row, std::int64_t a_step, const float* b,
                                                  std::int64_t b_row, std::int64_t steps, float* c, std::int64_t c_row) {
  static_assert(high >= 1 && high <= 2 && wide >= 1 && wide <= 2);
  constexpr std::int64_t kSide = 16, kFloat = sizeof(float);
  float* const c_below = c + kSide * c_row;
  asm volatile("" ::: "memory");  // the compiler does not know that loads of tiles read memory
  if constexpr (add) {
    _tile_loadd(0, c, c_row * kFloat);
    if constexpr (wide > 1) _tile_loadd(1, c + kSide, c_row * kFloat);
    if constexpr (high > 1) _tile_loadd(2, c_below, c_row * kFloat);
    if constexpr (high > 1 && wide > 1) _tile_loadd(3, c_below + kSide, c_row * kFloat);
  } else {
    _tile_zero(0);
    if constexpr (wide > 1) _tile_zero(1);
    if constexpr (high > 1) _tile_zero(2);
    if constexpr (high > 1 && wide > 1) _tile_zero(3);
  }
  for (std::int64_t step = 0; step < steps; step++, a += a_step, b += kSide * b_row) {
    _tile_loadd(6, b, b_row * kFloat);
    _tile_loadd(4, a, a_row * kFloat);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (wide > 1) {
      _tile_loadd(7, b + kSide, b_row * kFloat);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (high > 1) {
      _tile_loadd(5, a + kSide * a_row, a_row * kFloat);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (wide > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_row * kFloat);
  if constexpr (wide > 1) _tile_stored(1, c + kSide, c_row * kFloat);
  if constexpr (high > 1) _tile_stored(2, c_below, c_row * kFloat);
  if constexpr (high > 1 && wide > 1) _tile_stored(3, c_below + kSide, c_row * kFloat);
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
template <int high, int wide, bool add = false>
void multiply_tiles(const float* a, std::int64_t a_row, std::int64_t a_step, const float* b, std::int64_t b_row, std::int64_t steps,
                    float* c, std::int64_t c_row);
template <class E>
Vec pairs_along(const E* p);
#endif
constexpr bool kHasTiles = kPairsTogether > 1;

/// Pairs that `deep` values of k are packed into; those beyond are zeros.
constexpr std::int64_t pairs_of(std::int64_t deep) {
  return (deep + 2 * kPairsTogether - 1) / (2 * kPairsTogether) * kPairsTogether;
}

}  // namespace pacac
