// Attention of one token and head over a cache: scores of all positions so far, their softmax, the weighted sum of values.
//
// Keys lie transposed, [d][position]: a vector holds the scores of neighbouring positions, a value of q is broadcast, and eight such
// vectors at a time hide the latency of a multiply-add. Positions beyond the last are computed with and ignored.
#pragma once
#include <cmath>

#include "cpu/sweep.hpp"
#include "cpu/tile_product.hpp"

namespace pacac::cached {

constexpr int kVectors = 8;

/// to[j] = scale Σ_d q[d] keys[d * S + j] for j < count, and for some beyond, below S.
template <int HeadDim, std::int64_t S, class Q, class E>
void scores(const Q* q, const E* keys, std::int64_t count, float scale, float* to) {
  constexpr std::int64_t kBlock = kVectors * Vec::lanes;
  std::int64_t j = 0;
  for (; j < count && j + kBlock <= S; j += kBlock) {
    Vec sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = zero();
    for (int d = 0; d < HeadDim; ++d) {
      const Vec value = broadcast(scale * to_float(q[d]));
      const E* const row = keys + d * S + j;
      for (int v = 0; v < kVectors; ++v) sum[v] = fma(value, load(row + v * Vec::lanes), sum[v]);
    }
    for (int v = 0; v < kVectors; ++v) store(to + j + v * Vec::lanes, sum[v]);
  }
  if (j >= count) return;
  sweep(j, count, [&](std::int64_t i, auto lanes) {
    Vec sum = zero();
    for (int d = 0; d < HeadDim; ++d) sum = fma(broadcast(scale * to_float(q[d])), lanes.load(keys + d * S + i), sum);
    lanes.store(to + i, sum);
  });
}

/// Scores become e^(score − the highest); returns one over their sum.
inline float exponentials(float* score, std::int64_t count) {
  float highest = score[0];
  Vec most = broadcast(highest);
  std::int64_t j = 0;
  for (; j + Vec::lanes <= count; j += Vec::lanes) most = max(most, load(score + j));
  highest = max_of(most);
  for (; j < count; ++j) highest = score[j] > highest ? score[j] : highest;
  Vec total = zero();
  sweep(0, count, [&](std::int64_t i, auto lanes) {
    lanes.store(score + i, exp(lanes.load(score + i) - broadcast(highest)));
    total = total + lanes.load(score + i);
  });
  return 1.0f / sum(total);
}

/// y[d] = factor Σ_j weight[j] values[j * Width + d].
template <int HeadDim, std::int64_t Width, class E, class Y>
void weighted(const float* weight, const E* values, std::int64_t count, float factor, Y* y) {
  constexpr int kWhole = HeadDim / Vec::lanes;
  each_block<kVectors>(0, kWhole, [&](auto size, int first) {
    Vec sum[decltype(size)::value];
    for (Vec& each : sum) each = zero();
    const E* row = values + first * Vec::lanes;
    for (std::int64_t j = 0; j < count; ++j, row += Width) {
      const Vec share = broadcast(weight[j]);
      for (int v = 0; v < size; ++v) sum[v] = fma(share, load(row + v * Vec::lanes), sum[v]);
    }
    for (int v = 0; v < size; ++v) store(y + (first + v) * Vec::lanes, sum[v] * broadcast(factor));
  });
  sweep(kWhole * Vec::lanes, HeadDim, [&](std::int64_t d, auto lanes) {
    Vec sum = zero();
    for (std::int64_t j = 0; j < count; ++j) {
      sum = fma(broadcast(weight[j]), lanes.load(values + j * Width + d), sum);
    }
    lanes.store(y + d, sum * broadcast(factor));
  });
}

}  // namespace pacac::cached
