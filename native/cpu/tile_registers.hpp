// Products of bf16 pairs in the tile registers of x86 (AMX): each is 16 rows of 64 bytes, and one instruction multiplies two of them.
//
//   C[16,16] += A[16,32] B[32,16]: a row of A is 16 pairs of k; a row of B is the pair of one k and k + 1 for 16 columns
//
// That is how gemm_pairs.hpp packs both. Sums are float32; denormals count as 0. (Intel, Architecture Instruction Set Extensions
// Programming Reference, TDPBF16PS.) A processor without tiles has none of this: a step is one pair then.
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

/// sums[16 high, 16 wide] = Σ A B over `steps` steps of 16 pairs; high and wide are 1 or 2 tiles. From row to row of A, B and sums it is
/// a_row, b_row and 16 wide floats, from step to step of A a_step floats. Two tiles each way share what is loaded: four products
/// take four loads.
template <int high, int wide>
[[gnu::always_inline]] inline void multiply_tiles(const float* a, std::int64_t a_row, std::int64_t a_step, const float* b,
                                                  std::int64_t b_row, std::int64_t steps, float* sums) {
  static_assert(high >= 1 && high <= 2 && wide >= 1 && wide <= 2);
  constexpr std::int64_t kSide = 16, kFloat = sizeof(float);
  _tile_zero(0);
  if constexpr (wide > 1) _tile_zero(1);
  if constexpr (high > 1) _tile_zero(2);
  if constexpr (high > 1 && wide > 1) _tile_zero(3);
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
  constexpr std::int64_t kRow = kSide * wide;
  _tile_stored(0, sums, kRow * kFloat);
  if constexpr (wide > 1) _tile_stored(1, sums + kSide, kRow * kFloat);
  if constexpr (high > 1) _tile_stored(2, sums + kSide * kRow, kRow * kFloat);
  if constexpr (high > 1 && wide > 1) _tile_stored(3, sums + kSide * kRow + kSide, kRow * kFloat);
}

/// to[32] = from[32], rounded to bf16: a row of A's tile.
inline void store_tile_row(bf16* to, const float* from) {
  const __m512bh pairs = _mm512_cvtne2ps_pbh(load(from + Vec::lanes).v, load(from).v);
  std::memcpy(to, &pairs, sizeof pairs);
}
inline void store_tile_row(bf16* to, const bf16* from) { std::memcpy(to, from, 64); }
#else
constexpr std::int64_t kPairsTogether = 1;
struct TileRegisters {};
#endif
constexpr bool kHasTiles = kPairsTogether > 1;

/// Pairs that `deep` values of k are packed into; those beyond are zeros.
constexpr std::int64_t pairs_of(std::int64_t deep) {
  return (deep + 2 * kPairsTogether - 1) / (2 * kPairsTogether) * kPairsTogether;
}

}  // namespace pacac
