// What attention's forward and backward share: rows of heads in shared memory, products of a warp's 16 rows, the mask.
//
// A tile holds rows of one head, [rows][kPadded] bf16, swizzled as in gemm.cuh; kPadded is head_dim filled up with zeros to 32, 64 or
// a multiple of 64, which products do not feel. Token i attends to keys j with start[i] <= j <= i: causal within its document.
// `start` never falls within a row of tokens, so the keys of a block of queries are one range, and so are the queries of a block of keys.
#pragma once
#include "cuda/gemm.cuh"

namespace pacac {

template <int head_dim>
constexpr int kPadded = head_dim <= 32 ? 32 : (head_dim + 63) / 64 * 64;



/// Copies rows [first, last) of one head into a tile of `rows` rows; rows from `last` on are zeros. `from` points to the head's first
/// element in token 0. Heads of a multiple of 8 elements go by cp.async (wait, then a barrier), others by plain loads (a barrier).
template <int rows, int head_dim, int threads>
__device__ inline void copy_head(char* tile, const bf16* from, int stride, int first, int last) {
  constexpr int kWidth = kPadded<head_dim>, kChunks = kWidth / 8;
  const std::uint32_t to = shared_address(tile);
  for (int i = threadIdx.x; i < rows * kChunks; i += threads) {
    const int row = i / kChunks, chunk = i % kChunks;
    const bool there = first + row < last;
    const bf16* const source = from + static_cast<std::int64_t>(there ? first + row : 0) * stride + chunk * 8;
    if constexpr (head_dim % 8 == 0) {
      const bool inside = there && chunk * 8 < head_dim;
      copy_async(to + swizzled<kChunks>(row, chunk), inside ? source : from, inside ? 16 : 0);
    } else {
      Eight eight;
      bf16* const values = reinterpret_cast<bf16*>(&eight);
#pragma unroll
      for (int e = 0; e < 8; ++e) values[e] = there && chunk * 8 + e < head_dim ? source[e] : __float2bfloat16_rn(0.0f);
      *reinterpret_cast<Eight*>(tile + swizzled<kChunks>(row, chunk)) = eight;
    }
  }
}

/// Sums of 16 rows and `columns` columns of a warp.
template <int columns>
using Strip = float[columns / 8][4];

template <int columns>
__device__ inline void clear(Strip<columns>& strip) {
#pragma unroll
  for (int j = 0; j < columns / 8; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e) strip[j][e] = 0.0f;
  }
}

/// strip[16, rows] += A[16, width] B[rows, width]ᵀ: rows `row` … of tile a, all rows of tile b.
template <int rows, int width>
__device__ inline void multiply_transposed(Strip<rows>& strip, std::uint32_t a, int row, std::uint32_t b) {
  using A = Contiguous<16, width>;
  using B = Contiguous<rows, width>;
#pragma unroll
  for (int k = 0; k < width; k += 16) {
    std::uint32_t left[4];
    A::fragment_a(left, a, row, k);
#pragma unroll
    for (int j = 0; j < rows; j += 16) {
      std::uint32_t right[4];
      B::fragment_b(right, b, j, k);
      multiply_add(strip[j / 8], left, right[0], right[1]);
      multiply_add(strip[j / 8 + 1], left, right[2], right[3]);
    }
  }
}

/// strip[16, width] += P[16, rows] B[rows, width]: P in registers, as multiply_transposed leaves it; all rows of tile b.
template <int rows, int width>
__device__ inline void multiply_strip(Strip<width>& strip, const Strip<rows>& p, std::uint32_t b) {
  using B = Strided<width, rows>;
#pragma unroll
  for (int k = 0; k < rows; k += 16) {
    const std::uint32_t left[4] = {packed(p[k / 8][0], p[k / 8][1]), packed(p[k / 8][2], p[k / 8][3]),
                                   packed(p[k / 8 + 1][0], p[k / 8 + 1][1]), packed(p[k / 8 + 1][2], p[k / 8 + 1][3])};
#pragma unroll
    for (int j = 0; j < width; j += 16) {
      std::uint32_t right[4];
      B::fragment_b(right, b, j, k);
      multiply_add(strip[j / 8], left, right[0], right[1]);
      multiply_add(strip[j / 8 + 1], left, right[2], right[3]);
    }
  }
}

/// Writes factor[r] · strip to 16 rows of a head from token `first` on, those below `last`; lanes hold rows g and g + 8. Heads of a
/// multiple of 8 elements leave in accesses of 16 bytes through `tile`, whose rows from `row` on only this warp has read.
template <int head_dim>
__device__ inline void store_strip(bf16* to, int stride, int first, int last, const Strip<kPadded<head_dim>>& strip, const float (&factor)[2],
                                   [[maybe_unused]] char* tile, [[maybe_unused]] int row) {
  constexpr int kChunks = kPadded<head_dim> / 8;
  const int lane = threadIdx.x % 32;
  if constexpr (head_dim % 8 == 0) {
    __syncwarp();  // the warp's lanes have left these rows
#pragma unroll
    for (int j = 0; j < kChunks; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        char* const at = tile + swizzled<kChunks>(row + lane / 4 + 8 * half, j) + lane % 4 * 4;
        *reinterpret_cast<std::uint32_t*>(at) = packed(strip[j][2 * half] * factor[half], strip[j][2 * half + 1] * factor[half]);
      }
    }
    __syncwarp();
    for (int i = lane; i < 16 * (head_dim / 8); i += 32) {
      const int r = i / (head_dim / 8), chunk = i % (head_dim / 8);
      if (first + r >= last) continue;
      const uint4 bits = *reinterpret_cast<const uint4*>(tile + swizzled<kChunks>(row + r, chunk));
      store_16(to + static_cast<std::int64_t>(first + r) * stride + chunk * 8, bits);
    }
  } else {
#pragma unroll
    for (int j = 0; j < kChunks; ++j) {
      const int column = 8 * j + lane % 4 * 2;
      if (column >= head_dim) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int r = first + lane / 4 + 8 * half;
        if (r >= last) continue;
        *reinterpret_cast<std::uint32_t*>(to + static_cast<std::int64_t>(r) * stride + column) =
            packed(strip[j][2 * half] * factor[half], strip[j][2 * half + 1] * factor[half]);
      }
    }
  }
}

/// Sum or maximum over the four lanes that share a row.
__device__ inline float row_sum(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}
__device__ inline float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

}  // namespace pacac
