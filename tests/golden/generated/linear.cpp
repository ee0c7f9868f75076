// paca_linear, linear, linear + rope + rope: x f32[3, 8], weight.0 f32[8, 8], delta.0 f32[8, 2],
// index.0 i32[2], weight.1 f32[4, 8], weight.2 f32[4, 8], position.0 i32[3], table.0 f32[3, 4],
// position.1 i32[3], table.1 f32[3, 4] -> y.0 f32[3, 8], x_p.0 f32[3, 2], y.1 f32[3, 4], y.2 f32[3,
// 4]
//
//   y[t,o] = sum_k x[t,k] We[o,k] (+ bias[o]), for each member with W, bias and y of its own
//   We[o,k] = W[o,k], but We[o, index[j]] = W[o, index[j]] + scale delta[o,j]
//   x_p[t,j] = x[t, index[j]]: all that backward needs of x (Woo et al. 2025, eq. 3)
//
// 768 FLOP over 1.02 kB: bound by arithmetic. A = x, in place where it is float32; B = Wᵀ,
// transposed and widened into panels [k][NR] by each thread for its own columns, with delta added
// there, so that We is never stored. Sums of a block stay in scratch until the epilogue has run
// over them; it alone writes.
#include "cpu/epilogue.hpp"

namespace pacac {

void linear_group_T3_K8_O8_4_4_R2_0_0_c922eda4(void* const* operand, const Worker& worker) {
  constexpr std::int64_t kTokens = 3;
  constexpr std::int64_t kIn = 8;
  constexpr std::int64_t kOut_0 = 8;
  constexpr std::int64_t kRank_0 = 2;
  constexpr float kScale_0 = 2.0f;
  constexpr std::int64_t kOut_1 = 4;
  constexpr std::int64_t kOut_2 = 4;
  using Tile = Tiles</*MR*/ 6, /*NV*/ 2, /*KC*/ 8, /*MC*/ 6, /*NC*/ 48, /*unroll*/ 4, /*fetch*/ 7>;
  static_assert(Tile::kScratch <= 2176);
  using Layout = SideBySide</*unit*/ 16, 8, 4, 4>;
  const float* const x = static_cast<const float*>(operand[0]);
  const float* const weight_0 = static_cast<const float*>(operand[1]);
  const float* const delta_0 = static_cast<const float*>(operand[2]);
  const std::int32_t* const index_0 = static_cast<const std::int32_t*>(operand[3]);
  const float* const weight_1 = static_cast<const float*>(operand[4]);
  const float* const weight_2 = static_cast<const float*>(operand[5]);
  float* const y_0 = static_cast<float*>(operand[6]);
  float* const x_p_0 = static_cast<float*>(operand[7]);
  float* const y_1 = static_cast<float*>(operand[8]);
  float* const y_2 = static_cast<float*>(operand[9]);
  const std::int32_t* const position_0 = static_cast<const std::int32_t*>(operand[10]);
  const float* const table_0 = static_cast<const float*>(operand[11]);
  const std::int32_t* const position_1 = static_cast<const std::int32_t*>(operand[12]);
  const float* const table_1 = static_cast<const float*>(operand[13]);

  const Transposed<kIn, float, PacaPatch<kRank_0>> columns_0{weight_0,
                                                             {delta_0, index_0, kScale_0}};
  const Transposed<kIn, float> columns_1{weight_1};
  const Transposed<kIn, float> columns_2{weight_2};
  static_assert(Tile::KC >= kIn && Tile::NC % Layout::kUnit == 0);
  const auto columns = grouped<Layout>(columns_0, columns_1, columns_2);
  const Rotated<kOut_0, 4, false, float, None> step_0{y_0, position_0, table_0, nullptr};
  const Rotated<kOut_1, 4, false, float, None> step_1{y_1, position_1, table_1, nullptr};
  const Plainly<kOut_2, float, None> step_2{y_2, nullptr};
  const auto step = each_member<Layout>(step_0, step_1, step_2);
  const auto to = store_block<Tile>(worker.scratch + 2176, step);
  const auto gather = [&](std::int64_t t) {
    for (std::int64_t j = 0; j < kRank_0; j++) {
      x_p_0[t * kRank_0 + j] = round_to<float>(to_float(x[t * kIn + index_0[j]]));
    }
  };
  product_visiting<Tile>(worker, kTokens, Layout::kColumns, kIn, rows_of<Tile, kIn>(x), columns, to,
                         Layout::kUnit, gather);
}

}  // namespace pacac
