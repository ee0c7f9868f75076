// One vector of float32 values, whatever the instruction set, so that each kernel is written once.
//
// The instruction set is a macro on the command line (src/targets/cpu/isas.ts): PACAC_ISA_PLAIN, _AVX2, _AVX512,
// _AVX512_BF16, _AMX_BF16 (whose products take tile registers, tile_registers.hpp) or _NEON. Each header vec_X.hpp gives the same names:
//
//   Vec::lanes                         floats in a vector
//   load(p), load_partial(p, n)        of float or bf16 (widened); partial: 0 <= n <= lanes, the rest 0, nothing beyond n is read
//   store(p, v), store_partial(p, v, n) to float or bf16 (rounded to nearest, ties to even; NaN stays NaN; denormals may become 0)
//   stream(p, v), end_streams()        as store(p, v), to whole vectors' addresses, past the caches where the processor has that; other
//                                      threads see it once end_streams() has run
//   broadcast(x), zero(), + - * /, fma(a, b, c) = a * b + c, min, max, sqrt
//                                      (min, max: where an operand is NaN, the second operand)
//   sum(v), max_of(v)                  over lanes, in a fixed order
//   transpose(row, out)                out[j] lane i = row[i] lane j, lanes x lanes
//   load_pairs(p)                      2 lanes bf16 values as they are, two a lane; the values of a lane, widened, are then
//   first_of_pairs(v), second_of_pairs(v)
//   join_pairs(first, second)          the pairs again of what the two give; dropping lower halves is not rounding
//   dot_pairs(sum, a, b)               sum + second a · second b + first a · first b, in this order, rounded twice
//   round_even(v), times_power_of_two(v, n)   what exp is made of
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/kernel.hpp"

namespace pacac {

/// The float32 value of an element.
inline float to_float(float value) { return value; }
inline float to_float(bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// A float32 value as an element of type T: bf16 rounds to nearest, ties to even, and keeps NaN (made quiet).
template <class T>
inline T round_to(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    static_assert(std::is_same_v<T, bf16>);
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (value != value) return bf16{static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
    return bf16{static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
  }
}

}  // namespace pacac

#if defined(PACAC_ISA_AVX512_BF16) || defined(PACAC_ISA_AMX_BF16)
#define PACAC_DOT_BF16
#endif

#if defined(PACAC_ISA_AVX512) || defined(PACAC_DOT_BF16)
#include "cpu/vec_avx512.hpp"
#elif defined(PACAC_ISA_AVX2)
#include "cpu/vec_avx2.hpp"
#elif defined(PACAC_ISA_NEON)
#include "cpu/vec_neon.hpp"
#elif defined(PACAC_ISA_PLAIN)
#include "cpu/vec_plain.hpp"
#else
#error "one of the PACAC_ISA_ macros must be defined"
#endif

namespace pacac {

#if !defined(PACAC_DOT_BF16)
/// What vdpbf16ps does, from other instructions: a product of two bf16 has 16 significant bits, so it is exact and each sum
/// rounds once. (Denormals, which that instruction takes and gives as 0, stay as they are here.)
inline Vec dot_pairs(Vec sum, Vec a, Vec b) {
  sum = fma(second_of_pairs(a), second_of_pairs(b), sum);
  return fma(first_of_pairs(a), first_of_pairs(b), sum);
}
#endif

/// The four bytes at p as they are, whatever was stored there.
inline float value_at(const float* p) {
  float result;
  std::memcpy(&result, p, sizeof result);
  return result;
}

/// out[j] lane i = p[i * stride + j] for i < rows; lanes of further rows are 0.
template <class T>
inline void transpose_load(const T* p, std::int64_t stride, int rows, Vec (&out)[Vec::lanes]) {
  Vec row[Vec::lanes];
  for (int i = 0; i < Vec::lanes; i++) row[i] = i < rows ? load(p + i * stride) : zero();
  transpose(row, out);
}

/// to[j * step + i] = p[i * stride + j] for i < lanes and j < kBlockColumns: pairs of bf16 stay together until
/// they are transposed, which takes half the shuffles.
inline void transpose_block(const float* p, std::int64_t stride, float* to, std::int64_t step) {
  Vec out[Vec::lanes];
  transpose_load(p, stride, Vec::lanes, out);
  for (int j = 0; j < Vec::lanes; j++) store(to + j * step, out[j]);
}
inline void transpose_block(const bf16* p, std::int64_t stride, float* to, std::int64_t step) {
  Vec row[Vec::lanes], out[Vec::lanes];
  for (int i = 0; i < Vec::lanes; i++) row[i] = load_pairs(p + i * stride);
  transpose(row, out);
  for (int j = 0; j < Vec::lanes; j++) {
    store(to + 2 * j * step, first_of_pairs(out[j]));
    store(to + (2 * j + 1) * step, second_of_pairs(out[j]));
  }
}
/// Columns of one transpose_block.
template <class E>
constexpr int kBlockColumns = std::is_same_v<E, bf16> ? 2 * Vec::lanes : Vec::lanes;

/// e^x in each lane, to about 1e-7 relative. -inf and very negative values give 0, large ones inf, NaN stays NaN.
///
/// x = n ln 2 + r with integer n and |r| <= ln 2 / 2; e^r is its Taylor sum to r^7 (the next term is below 6e-9);
/// ln 2 is taken off in two parts, of which the first times n is exact.
inline Vec exp(Vec x) {
  x = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  const Vec n = round_even(x * broadcast(1.44269504088896341f));
  Vec r = fma(n, broadcast(-0.693359375f), x);
  r = fma(n, broadcast(2.12194440054690583e-4f), r);
  Vec series = broadcast(1.0f / 5040);
  series = fma(series, r, broadcast(1.0f / 720));
  series = fma(series, r, broadcast(1.0f / 120));
  series = fma(series, r, broadcast(1.0f / 24));
  series = fma(series, r, broadcast(1.0f / 6));
  series = fma(series, r, broadcast(0.5f));
  series = fma(series * r, r, r);
  return times_power_of_two(series + broadcast(1.0f), n);
}

}  // namespace pacac
