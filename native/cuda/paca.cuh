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

/// scale * delta[row, j … j+3] of a D of `sides` rows; zeros beyond its edges.
template <int rank>
__device__ inline float4 scaled_delta(const float* delta, int row, int sides, int j, float scale) {
  static_assert(rank % 8 == 0);
  if (row >= sides || j < 0 || j >= rank) return float4{};
  const float4 four = *reinterpret_cast<const float4*>(delta + static_cast<std::int64_t>(row) * rank + j);
  return {scale * four.x, scale * four.y, scale * four.z, scale * four.w};
}

/// tile[n][j] as bf16 for j < kExtendedDepth; value(n, j) gives four neighbours of a row.
template <int SIDE, int columns, int threads, class Value>
__device__ inline void fill_columns(char* tile, const Value& value) {
  constexpr int kFours = kExtendedDepth<columns> / 4;
  for (int i = threadIdx.x; i < SIDE * kFours; i += threads) {
    const int n = i / kFours, j = i % kFours * 4;
    const float4 four = value(n, j);
    *reinterpret_cast<uint2*>(element<kExtended<columns>>(tile, n, j)) = {packed(four.x, four.y), packed(four.z, four.w)};
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
    for (int i = threadIdx.x; i < BK * SIDE / 4; i += threads) {
      const int row = i / (SIDE / 4), j = i % (SIDE / 4) * 4;
      const bool inside = k + row < depth && side + j < rank;
      const float4 value = inside ? *reinterpret_cast<const float4*>(from + static_cast<std::int64_t>(k + row) * rank + side + j) : float4{};
      *reinterpret_cast<uint2*>(element<SIDE>(stage, row, j)) = {packed(value.x, value.y), packed(value.z, value.w)};
    }
  }
  static __device__ void fragment_b(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    Layout::fragment_b(out, stage, side, k);
  }
};

/// sums += p for those columns of the tile that are among PaCA's: slot[n] says which of them column n is, or -1. p is [rank, tokens].
/// A column at a time, so that its rows need one address.
template <class T>
__device__ inline void add_columns(Sums<T>& sums, const float* p, const std::int16_t* slot, int row, int tokens) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = row + warp / T::kWarpsN * T::WM + lane / 4, column = warp % T::kWarpsN * T::WN + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < T::NF; ++j) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int own = slot[column + 8 * j + e];
      if (own < 0) continue;
      const float* const from = p + static_cast<std::int64_t>(own) * tokens + first;
#pragma unroll
      for (int i = 0; i < T::MF; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if (first + 16 * i + 8 * half < tokens) sums[i][j][2 * half + e] += from[16 * i + 8 * half];
        }
      }
    }
  }
}

/// The tile of x_p is [kExtended][SIDE]: a column of x_p is a row of it, so that the lanes of a warp, which hold one column, write
/// neighbouring elements. This zeros the columns rank … kExtendedDepth - 1.
template <int SIDE, int rank, int threads>
__device__ inline void clear_rest(char* tile) {
  constexpr int kChunks = SIDE / 8;
  for (int i = threadIdx.x; i < (kExtendedDepth<rank> - rank) * kChunks; i += threads) {
    *reinterpret_cast<uint4*>(tile + swizzled<kChunks>(rank + i / kChunks, i % kChunks)) = uint4{};
  }
}

/// Copies those columns of a stage of x (rows SIDE, columns k … k+BK-1) that are in `index` to the tile of x_p. A warp takes a column,
/// its lanes the rows; each reads the whole chunk around its element: 8 rows of chunks fill the banks once, which single elements of a column
/// would not. `index` [rank] lies in shared memory.
template <int SIDE, int BK, int rank, int threads>
__device__ inline void gather(char* tile, const char* stage, const std::int32_t* index, int k) {
  for (int j = threadIdx.x / 32; j < rank; j += threads / 32) {
    const int column = index[j] - k;
    if (column < 0 || column >= BK) continue;
    for (int row = threadIdx.x % 32; row < SIDE; row += 32) {
      const uint4 chunk = *reinterpret_cast<const uint4*>(stage + swizzled<BK / 8>(row, column / 8));
      const std::uint32_t low = column & 2 ? chunk.y : chunk.x, high = column & 2 ? chunk.w : chunk.z;
      const std::uint32_t word = column & 4 ? high : low;
      *reinterpret_cast<std::uint16_t*>(element<SIDE>(tile, j, row)) = static_cast<std::uint16_t>(column & 1 ? word >> 16 : word);
    }
  }
}

/// sums += [A | A_p] [B | more]ᵀ over `depth` and `columns` more of K, for the tile at (row, column): A_p has those columns of A that
/// `index` [columns], in shared memory, names, picked out of A's slices as they pass; value(n, j) gives four neighbours of more's row n.
/// Gives the tile of A_p, which lies behind kProductBytes of `shared`; more's tile is behind it.
template <class T, int columns, class A, class B, class Value>
__device__ inline char* multiply_extended(Sums<T>& sums, const A& a, const B& b, int row, int column, int depth, char* shared,
                                          const std::int32_t* index, const Value& value) {
  using More = Strided<T::BM, kExtended<columns>>;  // A_p, transposed
  using Weight = Contiguous<T::BN, kExtended<columns>>;
  char* const a_more = shared + kProductBytes<T, A, B>;
  char* const b_more = a_more + More::kBytes;
  fill_columns<T::BN, columns, T::kThreads>(b_more, value);
  clear_rest<T::BM, columns, T::kThreads>(a_more);
  __syncthreads();  // the index too is there for all
  multiply<T>(sums, a, b, row, column, 0, depth, shared, [&](char* slice, int k) {
    gather<T::BM, T::BK, columns, T::kThreads>(a_more, slice, index, k);
  });
  multiply_stage<T, More, Weight, kExtendedDepth<columns>>(sums, shared_address(a_more), shared_address(b_more));
  return a_more;
}

/// Writes the columns `from` … of the tile's rows below `last` to x_p [T, rank]: 16 bytes at a time, whole sectors by neighbouring lanes.
template <int SIDE, int rank, int threads, int from = 0>
__device__ inline void store_gathered(bf16* x_p, char* tile, int first, int last) {
  constexpr int kChunks = rank / 8;
  constexpr int kSide = kChunks % 2 == 0 ? 2 : kChunks;  // chunks of a row that neighbouring lanes take
  for (int i = threadIdx.x; i < SIDE * kChunks; i += threads) {
    const int row = i / kSide % SIDE, j = (i / kSide / SIDE * kSide + i % kSide) * 8;
    if (first + row >= last) continue;
    const auto pair = [&](int at) {
      const auto bits = [&](int column) { return static_cast<std::uint32_t>(*reinterpret_cast<std::uint16_t*>(element<SIDE>(tile, from + column, row))); };
      return bits(at) | bits(at + 1) << 16;
    };
    store_16(x_p + static_cast<std::int64_t>(first + row) * rank + j, uint4{pair(j), pair(j + 2), pair(j + 4), pair(j + 6)});
  }
}

}  // namespace pacac
