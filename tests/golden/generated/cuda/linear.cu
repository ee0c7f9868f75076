// paca_linear + add: x bf16[64, 64], weight bf16[64, 64], delta f32[64, 8], index i32[8], residual
// bf16[64, 64] -> y bf16[64, 64], x_p bf16[64, 8]
//
//   y[t,o] = sum_k x[t,k] W[o,k] + sum_j x_p[t,j] scale delta[o,j] + residual[t,o]
//   x_p[t,j] = x[t, index[j]]: all that backward needs of x (Woo et al. 2025, eq. 3)
//
// 524 kFLOP over 35.9 kB. A block makes a tile [32, 64] of y: 3 stages of x and W pass through
// shared memory, x_p is picked out of those of x, and the blocks of the first column of tiles write
// it.
//
// 3 x 128 threads an SM of sm_80 (bound by shared memory): at most 112 registers, 43040 bytes of
// shared memory a block.
#include "cuda/gemm.cuh"
#include "cuda/paca.cuh"

namespace pacac {
namespace {

constexpr int kTokens = 64;
constexpr int kIn = 64;
constexpr int kOut = 64;
using Tile = Tiling</*BM*/ 32, /*BN*/ 64, /*BK*/ 64, /*stages*/ 3, /*warps*/ 1, 4>;
constexpr int kResident = 3;  // blocks an SM, which bounds registers
using Rows = Contiguous<Tile::BM, Tile::BK>;
using Weight = Contiguous<Tile::BN, Tile::BK>;
constexpr int kRank = 8;
constexpr float kScale = 2.0f;

}  // namespace

extern "C" __global__ void __launch_bounds__(Tile::kThreads, kResident)
    linear_T64_K64_O64_R8_d539c7e3(const bf16* x, const bf16* weight, const float* delta,
                                   const std::int32_t* index, bf16* y, bf16* x_p,
                                   const bf16* residual) {
  extern __shared__ __align__(128) char shared[];
  __shared__ std::int32_t own_index[kRank];
  const int column = blockIdx.x * Tile::BN, row = blockIdx.y * Tile::BM;

  Sums<Tile> sums;
  clear<Tile>(sums);
  const Rows rows{x, kIn, kTokens, kIn};
  const Weight weight_rows{weight, kIn, kOut, kIn};
  for (int j = threadIdx.x; j < kRank; j += Tile::kThreads) own_index[j] = index[j];
  char* const picked = multiply_extended<Tile, kRank>(
      sums, rows, weight_rows, row, column, kIn, shared, own_index,
      [&](int n, int j) { return scaled_delta<kRank>(delta, column + n, kOut, j, kScale); });
  if (blockIdx.x == 0) store_gathered<Tile::BM, kRank, Tile::kThreads>(x_p, picked, row, kTokens);

  // The tile leaves through shared memory, where the stages were.
  stage_tile<Tile>(sums, shared, [&]([[maybe_unused]] int t, [[maybe_unused]] int o, float2 pair) {
    return pair;
  });
  each_eight<Tile>(shared, [&](int t, int o, Eight eight) {
    if (row + t >= kTokens || column + o >= kOut) return;
    const std::int64_t at = static_cast<std::int64_t>(row + t) * kOut + column + o;
    eight = eight + Eight::from(residual + at);
    eight.to(y + at);
  });
}

}  // namespace pacac
