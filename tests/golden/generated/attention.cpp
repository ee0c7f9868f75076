// attention: q f32[3, 8], k f32[3, 4], v f32[3, 4], start i32[3] -> y f32[3, 8], lse f32[3, 2]
//
//   s[j] = scale · q[t, h] · k[j, h / group]      for j in [start[t], t]; group = heads / kv_heads
//   y[t, h] = sum_j softmax_j(s) v[j, h / group]
//   lse[t, h] = log sum_j exp(s[j]), kept for backward
//
// q, y: [T, heads · head_dim]; k, v: [T, kv_heads · head_dim]; start: [T]; lse: [T, heads].
// 192 FLOP over 324 B (causal half): bound by arithmetic.
//
// A unit is a tile of queries of one document with all heads of one group, so a tile of keys and
// values is fetched once for the group. Tiles begin where documents begin: keys of other documents,
// or later than a panel of queries, are never touched. Threads get neighbouring units of equal
// cost.
#include "cpu/attention_forward.hpp"

namespace pacac {

void attention_T3_Q8_K4_H2_4f549e73(void* const* operand, const Worker& worker) {
  constexpr std::int64_t kTokens = 3;
  constexpr int kHeads = 2, kKvHeads = 1;
  constexpr int kHeadDim = 4, kSeqLen = 3;
  constexpr int kQueryTile = 16, kKeyTile = 3;
  constexpr int kRows = 6, kVectors = 2;  // sums in registers
  constexpr float kScale = 0.5f;
  const float* const q = static_cast<const float*>(operand[0]);
  const float* const k = static_cast<const float*>(operand[1]);
  const float* const v = static_cast<const float*>(operand[2]);
  const std::int32_t* const start = static_cast<const std::int32_t*>(operand[3]);
  float* const y = static_cast<float*>(operand[4]);
  float* const lse = static_cast<float*>(operand[5]);

  using Shape =
      attention::Shape<kHeads, kKvHeads, kHeadDim, kSeqLen, kQueryTile, kKeyTile, kRows, kVectors>;
  using Forward = attention::Forward<Shape, float, float, float, float, float>;
  const Forward forward{q, k, v, start, y, lse, kScale};
  forward.run(kTokens, worker);
}

}  // namespace pacac
