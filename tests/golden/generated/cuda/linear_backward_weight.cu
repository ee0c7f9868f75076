// paca_linear_backward_delta: dy bf16[64, 64], x_p bf16[64, 8] -> ddelta f32[64, 8]
//
//   ddelta[o,j] += scale sum_t dy[t,o] x_p[t,j]
//
// 65.5 kFLOP over 13.3 kB. Blocks make tiles [64, 32]; tokens are split over 1 ranges whose sums
// are added in order by a second launch: no atomics, the same bits every time. Both operands are
// transposed on their way to registers.
//
// main: 4 x 128 threads an SM of sm_80 (bound by registers): at most 112 registers, 36864 bytes of
// shared memory a block. total: 5 x 256 threads an SM of sm_80 (bound by registers): at most 48
// registers, 128 bytes of shared memory a block.
#include "cuda/gemm.cuh"
#include "cuda/rows.cuh"

namespace pacac {
namespace {

constexpr int kTokens = 64;
constexpr int kOut = 64;
constexpr int kColumns = 8;
constexpr int kSplits = 1;
constexpr int kSplitTokens = 64;  // a multiple of BK
constexpr float kScale = 2;
using Tile = Tiling</*BM*/ 64, /*BN*/ 32, /*BK*/ 64, /*stages*/ 3, /*warps*/ 4, 1>;
constexpr int kResident = 4;  // blocks an SM, which bounds registers
using Upstream = Strided<Tile::BM, Tile::BK>;
using Columns = Strided<Tile::BN, Tile::BK>;

}  // namespace

/// workspace[split][o][column] = the sum over the split's tokens, float32.
extern "C" __global__ void __launch_bounds__(Tile::kThreads, kResident)
    linear_backward_weight_T64_O64_R8_42b051af(const bf16* dy, const bf16* x_p, float* ddelta,
                                               std::byte* workspace) {
  extern __shared__ __align__(128) char shared[];
  const int column = blockIdx.x * Tile::BN, row = blockIdx.y * Tile::BM,
            first = blockIdx.z * kSplitTokens;
  Sums<Tile> sums;
  clear<Tile>(sums);
  multiply<Tile>(sums, Upstream{dy, kOut, kOut, kTokens}, Columns{x_p, kColumns, kColumns, kTokens},
                 row, column, first, min(first + kSplitTokens, kTokens), shared, [](char*, int) {});
  float* const partial =
      reinterpret_cast<float*>(workspace) + static_cast<std::int64_t>(blockIdx.z) * kOut * kColumns;
  each_four<Tile>(sums, [&](int o, int c, const float4& four) {
    if (row + o >= kOut || column + c >= kColumns) return;
    store_16(partial + static_cast<std::int64_t>(row + o) * kColumns + column + c, four);
  });
}

extern "C" __global__ void linear_backward_weight_T64_O64_R8_42b051af_total(const bf16* dy,
                                                                            const bf16* x_p,
                                                                            float* ddelta,
                                                                            std::byte* workspace) {
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  constexpr std::int64_t kElements = std::int64_t{kOut} * kColumns;
  if (i >= kElements) return;
  Values<4> total{};
  for (int split = 0; split < kSplits; ++split) {
    const Values<4> partial =
        load<4>(reinterpret_cast<const float*>(workspace) + split * kElements + i);
#pragma unroll
    for (int e = 0; e < 4; ++e) total.at[e] += partial.at[e];
  }
  float* const to = ddelta + i;
  const Values<4> old = load<4>(to);
#pragma unroll
  for (int e = 0; e < 4; ++e) total.at[e] = old.at[e] + kScale * total.at[e];
  store(to, total);
}

}  // namespace pacac
