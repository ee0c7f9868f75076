// PaCA's columns beside a matrix product (gemm.cuh): the contraction gets `rank` more columns, so W0 is never written and D keeps its bits.
//
//   y  = [x | x_p] [W0 | s D]ᵀ      x_p[t,j] = x[t, index[j]] is copied out of the stages of x as they pass through shared memory
//   dx = dy W0, and dx[t, index[j]] += p[t,j] with p = s dy D
#pragma once
#include "cuda/gemm.cuh"

namespace pacac {

/// Columns of a tile that holds `rank` of them: whole swizzled chunks.
template <int rank>
constexpr int kExtended = rank <= 32 ? 32 : (rank + 63) / 64 * 64;
/// Depth of the product over them.
template <int rank>
constexpr int kExtendedDepth = (rank + 15) / 16 * 16;

/// Where element (row, column) of a tile of rows of `width` bf16 lies.
template <int width>
__device__ inline bf16* element(char* tile, int row, int column) {
  return reinterpret_cast<bf16*>(tile + swizzled<width / 8>(row, column / 8) + column % 8 * 2);
}

/// tile[n][j] = scale * delta[first + n, j] as bf16 for j < rank, zero up to kExtendedDepth and beyond row `sides`.
template <int SIDE, int rank, int threads>
__device__ inline void load_delta(char* tile, const float* delta, int first, int sides, float scale) {
  constexpr int kDepth = kExtendedDepth<rank>;
  for (int i = threadIdx.x; i < SIDE * kDepth; i += threads) {
    const int n = i / kDepth, j = i % kDepth;
    const bool inside = first + n < sides && j < rank;
    const float value = inside ? scale * delta[static_cast<std::int64_t>(first + n) * rank + j] : 0.0f;
    *element<kExtended<rank>>(tile, n, j) = __float2bfloat16_rn(value);
  }
}

/// B of p = dy D: element (side j, k = o) is delta[o, j]. Plain loads, rounded to bf16 on the way; there after the next barrier.
template <int SIDE, int BK, int rank>
struct DeltaColumns {
  const float* from;
  int depth;

  using Layout = Strided<SIDE, BK>;
  static constexpr int kBytes = Layout::kBytes;

  template <int threads>
  __device__ void copy(char* stage, int side, int k) const {
    for (int i = threadIdx.x; i < BK * SIDE; i += threads) {
      const int row = i / SIDE, j = i % SIDE;
      const bool inside = k + row < depth && side + j < rank;
      const float value = inside ? from[static_cast<std::int64_t>(k + row) * rank + side + j] : 0.0f;
      *element<SIDE>(stage, row, j) = __float2bfloat16_rn(value);
    }
  }
  static __device__ void fragment_b(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    Layout::fragment_b(out, stage, side, k);
  }
};

/// Zeros the columns rank … kExtendedDepth - 1 of a tile of x_p.
template <int SIDE, int rank, int threads>
__device__ inline void clear_rest(char* tile) {
  constexpr int kRest = kExtendedDepth<rank> - rank;
  if constexpr (kRest > 0) {
    for (int i = threadIdx.x; i < SIDE * kRest; i += threads) {
      *element<kExtended<rank>>(tile, i / kRest, rank + i % kRest) = __float2bfloat16_rn(0.0f);
    }
  }
}

/// Copies those columns of a stage of x (rows SIDE, columns k … k+BK-1) that are in `index` to a tile of x_p. A warp takes a column,
/// its lanes the rows. `index` [rank] lies in shared memory.
template <int SIDE, int BK, int rank, int threads>
__device__ inline void gather(char* tile, char* stage, const std::int32_t* index, int k) {
  for (int j = threadIdx.x / 32; j < rank; j += threads / 32) {
    const int column = index[j] - k;
    if (column < 0 || column >= BK) continue;
    for (int row = threadIdx.x % 32; row < SIDE; row += 32) {
      *element<kExtended<rank>>(tile, row, j) = *element<BK>(stage, row, column);
    }
  }
}

}  // namespace pacac
