// Matrix product C[M,N] = A[M,K] B[K,N] on tensor cores: bf16 operands, float32 sums, a tile of C for each block.
//
//   global memory --cp.async--> kStages stages of shared memory --ldmatrix--> registers --mma.sync--> sums in registers
//
// A stage holds a slice of K of both operands, each in one of two layouts (a "side" is the tile's extent along M or N):
//   Contiguous  [side][BK]: neighbours along k lie together, as in x[t,k] and in W[o,k] for x Wᵀ
//   Strided     [BK][side]: neighbours along m or n lie together, as in W[o,i] for dy W and in dy[t,o] for dyᵀ x_p
// 16-byte chunks of a row are permuted (chunk XOR row) so that the 8 rows that one ldmatrix phase reads, and the chunks that
// cp.async writes, fall into different banks.
//
// Rows of operands begin at multiples of 16 bytes (strides are multiples of 8). Chunks beyond an edge are zeros: cp.async copies 0 bytes.
#pragma once
#include "cuda/ptx.cuh"

namespace pacac {

/// Sizes of a product's tiles: BM x BN of C for a block, BK of K for a stage, a grid of warps over the tile.
template <int bm, int bn, int bk, int stages, int warps_m, int warps_n>
struct Tiling {
  static constexpr int BM = bm, BN = bn, BK = bk, kStages = stages, kWarpsM = warps_m, kWarpsN = warps_n;
  static constexpr int kThreads = 32 * warps_m * warps_n;
  static constexpr int WM = bm / warps_m, WN = bn / warps_n;  ///< a warp's part of the tile
  static constexpr int MF = WM / 16, NF = WN / 8;             ///< and its fragments
  static_assert(WM % 16 == 0 && WN % 16 == 0 && bk % 16 == 0 && stages >= 2);
};

/// Byte offset of chunk `chunk` of row `row` in a tile of rows of `chunks` 16-byte chunks.
/// Eight chunks fill the 32 banks once: rows of 4 chunks are permuted in pairs of rows.
template <int chunks>
__device__ inline int swizzled(int row, int chunk) {
  static_assert(chunks == 4 || chunks % 8 == 0);
  const int turn = chunks == 4 ? (row >> 1) & 3 : row & 7;
  return (row * chunks + (chunk ^ turn)) * 16;
}

/// An operand with neighbours along k together: element (side, k) at from[side * stride + k], or, gathered, at
/// from[rows[side] * stride + k].
template <int SIDE, int BK, bool gathered = false>
struct Contiguous {
  const bf16* from;
  int stride;
  int sides, depth;  ///< how many rows, and how long they are
  const std::int32_t* rows = nullptr;

  static constexpr int kChunks = BK / 8, kBytes = SIDE * BK * 2;

  template <int threads>
  __device__ void copy(char* stage, int side, int k) const {
    const std::uint32_t to = shared_address(stage);
#pragma unroll
    for (int i = threadIdx.x; i < SIDE * kChunks; i += threads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool inside = side + row < sides && k + chunk * 8 < depth;
      std::int64_t at = inside ? side + row : 0;
      if constexpr (gathered) at = rows[at];
      const bf16* const source = inside ? from + at * stride + k + chunk * 8 : from;
      copy_async(to + swizzled<kChunks>(row, chunk), source, inside ? 16 : 0);
    }
  }

  /// A's fragment: rows `side` … +15, k … k+15 of the stage.
  static __device__ void fragment_a(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    const int lane = threadIdx.x % 32;
    load_matrices(out, stage + swizzled<kChunks>(side + lane % 16, k / 8 + lane / 16));
  }
  /// B's fragments of two neighbouring groups of 8 columns: out[0], out[1] and out[2], out[3].
  static __device__ void fragment_b(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    const int lane = threadIdx.x % 32;
    load_matrices(out, stage + swizzled<kChunks>(side + lane / 16 * 8 + lane % 8, k / 8 + lane / 8 % 2));
  }
};

/// Two operands of the same depth, each the half of a tile's side: rows of `first`, then as many of `second`. A stage of them lies as one
/// of Contiguous does, since a half has whole periods of the permutation.
template <int SIDE, int BK>
struct Paired {
  using Half = Contiguous<SIDE / 2, BK>;
  static_assert(SIDE / 2 % 8 == 0);
  Half first, second;

  static constexpr int kBytes = 2 * Half::kBytes;

  template <int threads>
  __device__ void copy(char* stage, int side, int k) const {
    first.template copy<threads>(stage, side, k);
    second.template copy<threads>(stage + Half::kBytes, side, k);
  }
  static __device__ void fragment_b(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) { Half::fragment_b(out, stage, side, k); }
};

/// An operand with neighbours along m or n together: element (side, k) at from[k * stride + side], or, gathered, at
/// from[rows[k] * stride + side].
template <int SIDE, int BK, bool gathered = false>
struct Strided {
  const bf16* from;
  int stride;
  int sides, depth;
  const std::int32_t* rows = nullptr;

  static constexpr int kChunks = SIDE / 8, kBytes = SIDE * BK * 2;

  template <int threads>
  __device__ void copy(char* stage, int side, int k) const {
    const std::uint32_t to = shared_address(stage);
#pragma unroll
    for (int i = threadIdx.x; i < BK * kChunks; i += threads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool inside = k + row < depth && side + chunk * 8 < sides;
      std::int64_t at = inside ? k + row : 0;
      if constexpr (gathered) at = rows[at];
      const bf16* const source = inside ? from + at * stride + side + chunk * 8 : from;
      copy_async(to + swizzled<kChunks>(row, chunk), source, inside ? 16 : 0);
    }
  }

  static __device__ void fragment_a(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    const int lane = threadIdx.x % 32;
    load_matrices_transposed(out, stage + swizzled<kChunks>(k + lane / 16 * 8 + lane % 8, side / 8 + lane / 8 % 2));
  }
  static __device__ void fragment_b(std::uint32_t (&out)[4], std::uint32_t stage, int side, int k) {
    const int lane = threadIdx.x % 32;
    load_matrices_transposed(out, stage + swizzled<kChunks>(k + lane % 16, side / 8 + lane / 16));
  }
};

/// The sums of a warp: fragment (i, j) covers rows 16 i … of its part, columns 8 j ….
template <class T>
using Sums = float[T::MF][T::NF][4];

/// sums += the first `depth` of K (a multiple of 16) of two tiles in shared memory.
template <class T, class A, class B, int depth = T::BK>
__device__ inline void multiply_stage(Sums<T>& sums, std::uint32_t a_stage, std::uint32_t b_stage) {
  const int warp = threadIdx.x / 32;
  const int row = warp / T::kWarpsN * T::WM, column = warp % T::kWarpsN * T::WN;
#pragma unroll
  for (int k = 0; k < depth; k += 16) {
    std::uint32_t a[T::MF][4];
#pragma unroll
    for (int i = 0; i < T::MF; ++i) A::fragment_a(a[i], a_stage, row + 16 * i, k);
#pragma unroll
    for (int j = 0; j < T::NF; j += 2) {
      std::uint32_t b[4];
      B::fragment_b(b, b_stage, column + 8 * j, k);
#pragma unroll
      for (int i = 0; i < T::MF; ++i) {
        multiply_add(sums[i][j], a[i], b[0], b[1]);
        multiply_add(sums[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
}

/// Bytes of shared memory of one stage.
template <class A, class B>
constexpr int kStageBytes = A::kBytes + B::kBytes;

/// Bytes of shared memory of all stages, or of the result's tile (stage_tile) where that is more: what else is kept lies behind them.
template <class T, class A, class B>
constexpr int kProductBytes = T::kStages * kStageBytes<A, B> > T::BM * T::BN * 2 ? T::kStages * kStageBytes<A, B> : T::BM * T::BN * 2;

/// sums += A B over k in [k_begin, k_end) for the tile at (row, column). `shared` has kStages * kStageBytes, 128-byte aligned.
/// visit(stage, k) sees each slice of A while it is in shared memory. Ends with a barrier: the memory may be used again.
template <class T, class A, class B, class Visit>
__device__ inline void multiply(Sums<T>& sums, const A& a, const B& b, int row, int column, int k_begin, int k_end,
                                char* shared, const Visit& visit) {
  constexpr int kBytes = kStageBytes<A, B>;
  const int slices = (k_end - k_begin + T::BK - 1) / T::BK;
  const auto fetch = [&](int slice) {
    if (slice < slices) {
      char* const stage = shared + slice % T::kStages * kBytes;
      a.template copy<T::kThreads>(stage, row, k_begin + slice * T::BK);
      b.template copy<T::kThreads>(stage + A::kBytes, column, k_begin + slice * T::BK);
    }
    copy_commit();  // an empty group at the end keeps the count of pending groups constant
  };
#pragma unroll
  for (int slice = 0; slice < T::kStages - 1; ++slice) fetch(slice);
  for (int slice = 0; slice < slices; ++slice) {
    copy_wait<T::kStages - 2>();
    __syncthreads();  // the slice is there for all, and all have left the stage that is filled next
    fetch(slice + T::kStages - 1);
    char* const part = shared + slice % T::kStages * kBytes;
    visit(part, k_begin + slice * T::BK);
    const std::uint32_t stage = shared_address(part);
    multiply_stage<T, A, B>(sums, stage, stage + A::kBytes);
  }
  copy_wait<0>();
  __syncthreads();
}

template <class T>
__device__ inline void clear(Sums<T>& sums) {
#pragma unroll
  for (int i = 0; i < T::MF; ++i) {
#pragma unroll
    for (int j = 0; j < T::NF; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0.0f;
    }
  }
}

/// Calls visit(row, column, first, second) for each pair of neighbouring sums; row and column count within the tile.
template <class T, class Visit>
__device__ inline void each_pair(const Sums<T>& sums, const Visit& visit) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int row = warp / T::kWarpsN * T::WM + lane / 4, column = warp % T::kWarpsN * T::WN + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < T::MF; ++i) {
#pragma unroll
    for (int j = 0; j < T::NF; ++j) {
      visit(row + 16 * i, column + 8 * j, sums[i][j][0], sums[i][j][1]);
      visit(row + 16 * i + 8, column + 8 * j, sums[i][j][2], sums[i][j][3]);
    }
  }
}

/// Calls visit(row, column, four) for each group of four neighbouring sums of a row, 16 bytes of float32: of two neighbouring lanes
/// the even one gives up its half of row g + 8 and receives the rest of row g.
template <class T, class Visit>
__device__ inline void each_four(const Sums<T>& sums, const Visit& visit) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const bool odd = lane % 2 != 0;
  const int row = warp / T::kWarpsN * T::WM + lane / 4 + (odd ? 8 : 0), column = warp % T::kWarpsN * T::WN + lane % 4 / 2 * 4;
#pragma unroll
  for (int i = 0; i < T::MF; ++i) {
#pragma unroll
    for (int j = 0; j < T::NF; ++j) {
      const float(&own)[4] = sums[i][j];
      const float first = __shfl_xor_sync(0xffffffffu, odd ? own[0] : own[2], 1);
      const float second = __shfl_xor_sync(0xffffffffu, odd ? own[1] : own[3], 1);
      visit(row + 16 * i, column + 8 * j, odd ? float4{first, second, own[2], own[3]} : float4{own[0], own[1], first, second});
    }
  }
}

/// Rounds finish(row, column, {two neighbouring sums}) to bf16 in shared memory ([BM][BN], swizzled), so that the tile leaves in
/// accesses of 16 bytes. Ends with a barrier.
template <class T, class Finish>
__device__ inline void stage_tile(const Sums<T>& sums, char* shared, const Finish& finish) {
  each_pair<T>(sums, [&](int row, int column, float first, float second) {
    const float2 pair = finish(row, column, float2{first, second});
    char* const at = shared + swizzled<T::BN / 8>(row, column / 8) + column % 8 * 2;
    *reinterpret_cast<__nv_bfloat162*>(at) = __floats2bfloat162_rn(pair.x, pair.y);
  });
  __syncthreads();
}

/// Calls visit(row, column, eight) for each group of 8 columns of a staged tile, neighbouring threads on neighbouring groups.
template <class T, class Visit>
__device__ inline void each_eight(const char* shared, const Visit& visit) {
  constexpr int kChunks = T::BN / 8;
#pragma unroll
  for (int i = threadIdx.x; i < T::BM * kChunks; i += T::kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    visit(row, chunk * 8, Eight::from(reinterpret_cast<const bf16*>(shared + swizzled<kChunks>(row, chunk))));
  }
}

/// Calls visit(row, column, eight, other) for groups of 8 columns of a staged tile whose partners are `apart` columns to the right.
template <class T, int apart, class Visit>
__device__ inline void each_two_eights(const char* shared, const Visit& visit) {
  constexpr int kChunks = T::BN / 8, kApart = apart / 8;
  static_assert(apart % 8 == 0 && T::BN % (2 * apart) == 0);
#pragma unroll
  for (int i = threadIdx.x; i < T::BM * kChunks / 2; i += T::kThreads) {
    const int row = i / (kChunks / 2), nth = i % (kChunks / 2), chunk = nth / kApart * 2 * kApart + nth % kApart;
    const auto at = [&](int chunk) { return Eight::from(reinterpret_cast<const bf16*>(shared + swizzled<kChunks>(row, chunk))); };
    visit(row, chunk * 8, at(chunk), at(chunk + kApart));
  }
}

}  // namespace pacac
