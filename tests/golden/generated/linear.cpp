// paca_linear: x f32[3, 8], weight f32[8, 8], delta f32[8, 2], index i32[2] -> y f32[3, 8], x_p
// f32[3, 2]
//
//   y[t,o] = sum_k x[t,k] We[o,k]
//   We[o,k] = W[o,k], but We[o, index[j]] = W[o, index[j]] + scale delta[o,j]
//   x_p[t,j] = x[t, index[j]]: all that backward needs of x (Woo et al. 2025, eq. 3)
//
// 384 FLOP over 544 B: bound by arithmetic. A = x, in place where it is float32; B = Wᵀ, transposed
// and widened into panels [k][NR] by each thread for its own columns, with delta added there, so
// that We is never stored.
#include "cpu/gemm_visit.hpp"

namespace pacac {

void linear_T3_K8_O8_R2_a16b7450(void* const* operand, const Worker& worker) {
  constexpr std::int64_t kTokens = 3;
  constexpr std::int64_t kIn = 8;
  constexpr std::int64_t kOut = 8;
  constexpr std::int64_t kRank = 2;
  constexpr float kScale = 2;
  using Tile = Tiles</*MR*/ 12, /*NV*/ 1, /*KC*/ 8, /*MC*/ 12, /*NC*/ 8, /*unroll*/ 4, /*fetch*/ 7>;
  static_assert(Tile::kScratch <= 1472);
  const float* const x = static_cast<const float*>(operand[0]);
  const float* const weight = static_cast<const float*>(operand[1]);
  const float* const delta = static_cast<const float*>(operand[2]);
  const std::int32_t* const index = static_cast<const std::int32_t*>(operand[3]);
  float* const y = static_cast<float*>(operand[4]);
  float* const x_p = static_cast<float*>(operand[5]);

  const StoreRows<kOut, float, None, None> to{y, nullptr, nullptr};
  const Transposed<kIn, float, PacaPatch<kRank>> columns{weight, {delta, index, kScale}};
  const auto gather = [&](std::int64_t t) {
    for (std::int64_t j = 0; j < kRank; j++) {
      x_p[t * kRank + j] = round_to<float>(to_float(x[t * kIn + index[j]]));
    }
  };
  worker.in_parts<4>([&](const Worker& part) {
    product_visiting<Tile>(part, kTokens, kOut, kIn, rows_of<Tile, kIn>(x), columns, to, gather);
  });
}

}  // namespace pacac
