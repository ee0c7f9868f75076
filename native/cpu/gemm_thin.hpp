// The gradient of a thin matrix: C[O,R] += scale Σ_t dy[t,o] x[t,r], R = 8 … 64 columns, as many tokens t as there are.
//
// A matrix product (gemm.hpp) would copy dy, 16 multiply-adds for each value copied. Here nothing of it is copied:
// vectors run along o and come straight from the rows of dy, values of x are broadcast, and sums stand transposed,
// [R][NC], in scratch that stays in the caches:
//
//   micro-kernel   MR x NV vectors of sums; per token NV vectors of dy and MR single values of x
//   over r         the strips of MR columns of x; a panel of dy, [KC][NR], comes from the L1 cache
//   over o         the panels of a block of NC columns
//   over t         KC tokens at a time; sums are taken up again, so each is one chain of multiply-adds in the order of t
//   over o         NC columns at a time; then C, transposed
#pragma once
#include "cpu/gemm.hpp"

namespace pacac {

/// Bytes of a thread's scratch: sums, tokens of x as float32, a panel at dy's right edge.
template <class T, std::int64_t R>
constexpr std::int64_t kThinScratch = 4 * (R * T::NC + std::int64_t{T::KC} * R + std::int64_t{T::KC} * T::NR);

/// `rows` of x times one panel: sums[r * NC + v * lanes …] += Σ_t x[t * R + r] * panel[t * step + v * lanes …].
template <class T, int M, std::int64_t R, std::int64_t step, class E>
[[gnu::noinline]] void thin_tile(const float* x, const E* panel, std::int64_t count, float* sums) {
  Vec sum[M][T::NV];
  for (int r = 0; r < M; r++) {
    for (int v = 0; v < T::NV; v++) sum[r][v] = load(sums + r * T::NC + v * Vec::lanes);
  }
  multiply_add<T::kUnroll, M, T::NV, 1, R, step>(x, panel, count, sum);
  for (int r = 0; r < M; r++) {
    for (int v = 0; v < T::NV; v++) store(sums + r * T::NC + v * Vec::lanes, sum[r][v]);
  }
}

/// All R columns of x times one panel.
template <class T, std::int64_t R, std::int64_t step, class E>
inline void thin_panel(const float* x, const E* panel, std::int64_t count, float* sums) {
  constexpr std::int64_t whole = R / T::MR * T::MR;
  for (std::int64_t r = 0; r < whole; r += T::MR) thin_tile<T, T::MR, R, step>(x + r, panel, count, sums + r * T::NC);
  if constexpr (whole < R) {
    thin_tile<T, static_cast<int>(R - whole), R, step>(x + whole, panel, count, sums + whole * T::NC);
  }
}

/// Rows of x as float32: in place where they are.
inline const float* float_rows(float*, const float* from, std::int64_t) { return from; }
inline const float* float_rows(float* to, const bf16* from, std::int64_t n) {
  widen_row(to, from, n);
  return to;
}

/// C[o,r] += scale Σ_t dy[t,o] x[t,r] for `columns` o, t < tokens. `scratch` has kThinScratch bytes, 64-byte aligned.
template <class T, std::int64_t R, std::int64_t O, class X, class E>
void thin_product(Worker::Range columns, std::int64_t tokens, const X* x, const E* dy, float scale, float* c,
                  std::byte* scratch) {
  float* const sums = reinterpret_cast<float*>(scratch);
  float* const widened = sums + R * T::NC;
  float* const edge = widened + std::int64_t{T::KC} * R;
  for (std::int64_t n = columns.begin; n < columns.end; n += T::NC) {
    const std::int64_t wide = smaller(T::NC, columns.end - n);
    for (std::int64_t i = 0; i < R * T::NC; i++) sums[i] = 0.0f;
    for (std::int64_t t = 0; t < tokens; t += T::KC) {
      const std::int64_t deep = smaller(T::KC, tokens - t);
      const float* const rows = float_rows(widened, x + t * R, deep * R);
      for (std::int64_t j = 0; j < wide; j += T::NR) {
        const E* const panel = dy + t * O + n + j;
        if constexpr ((T::kFetch & 1) != 0) fetch_rows(panel, T::NR, O, deep, T::NR, Share{0, 1});
        if (wide - j >= T::NR) {
          thin_panel<T, R, O>(rows, panel, deep, sums + j);
        } else {
          for (std::int64_t i = 0; i < deep; i++) {
            for (int v = 0; v < T::NV; v++) store(edge + i * T::NR + v * Vec::lanes, zero());
            widen_row(edge + i * T::NR, panel + i * O, wide - j);
          }
          thin_panel<T, R, T::NR>(rows, edge, deep, sums + j);
        }
      }
    }
    for (std::int64_t o = 0; o < wide; o++) {
      float* const row = c + (n + o) * R;
      for (std::int64_t r = 0; r < R; r++) row[r] += scale * sums[r * T::NC + o];
    }
  }
}

}  // namespace pacac
