// Products of a matrix with one vector: every value of the matrix is used once, so its way from memory is all that counts.
//
// Rows are taken kRows at a time: so many streams keep enough lines on their way, and a value of x in a register serves them all.
// Each sum is two chains of multiply-adds, in the order of k, whatever else is computed beside it: results are equal bit for bit
// however rows are shared.
#pragma once
#include "cpu/gemm_pack.hpp"
#include "cpu/vec.hpp"

namespace pacac {

/// x as float32: in place where it is, else widened into scratch.
inline const float* float_row(float*, const float* x, std::int64_t) { return x; }
inline const float* float_row(float* to, const bf16* x, std::int64_t n) {
  widen_row(to, x, n);
  return to;
}

/// out[r] += Σ_k w[r * K + k] x[k] for R rows. The next R rows are asked for meanwhile; they need not exist.
template <int R, std::int64_t K, class E>
[[gnu::always_inline]] inline void dot_block(const E* w, const float* x, float* out) {
  constexpr std::int64_t L = Vec::lanes, kLine = 64 / sizeof(E);
  Vec sum[R][2];
  for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = zero();
  std::int64_t k = 0;
  for (; k + 2 * L <= K; k += 2 * L) {
    const Vec first = load(x + k), second = load(x + k + L);
    for (int r = 0; r < R; ++r) {
      const E* const row = w + r * K + k;
      if (k % kLine < 2 * L) __builtin_prefetch(row + R * K, 0, 3);
      sum[r][0] = fma(load(row), first, sum[r][0]);
      sum[r][1] = fma(load(row + L), second, sum[r][1]);
    }
  }
  if (k + L <= K) {
    for (int r = 0; r < R; ++r) sum[r][0] = fma(load(w + r * K + k), load(x + k), sum[r][0]);
    k += L;
  }
  if (k < K) {
    const int left = static_cast<int>(K - k);
    for (int r = 0; r < R; ++r) {
      sum[r][1] = fma(load_partial(w + r * K + k, left), load_partial(x + k, left), sum[r][1]);
    }
  }
  for (int r = 0; r < R; ++r) out[r] += pacac::sum(sum[r][0] + sum[r][1]);
}

/// out[r] += Σ_k w[r * K + k] x[k] for r < rows.
template <std::int64_t K, class E>
inline void dot_rows(const E* w, const float* x, int rows, float* out) {
  constexpr int kRows = 4;
  int r = 0;
  for (; r + kRows <= rows; r += kRows) dot_block<kRows, K>(w + r * K, x, out + r);
  for (; r < rows; ++r) dot_block<1, K>(w + r * K, x, out + r);
}

/// PaCA: to[j] = scale * x[index[j]], what delta's rows are multiplied by.
template <std::int64_t R>
inline void scaled_columns(float* to, const float* x, const std::int32_t* index, float scale) {
  for (std::int64_t j = 0; j < R; ++j) to[j] = scale * x[index[j]];
}

/// The part of rows [begin, begin + count) of all members' that falls into `all`, counted from `begin`.
inline Worker::Range part_of_rows(Worker::Range all, std::int64_t begin, std::int64_t count) {
  const auto inside = [&](std::int64_t row) { return row < begin ? 0 : row - begin > count ? count : row - begin; };
  return {inside(all.begin), inside(all.end)};
}

}  // namespace pacac
