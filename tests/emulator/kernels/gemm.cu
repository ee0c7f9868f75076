// y[T, N] = x[T, K] w[N, K]^T in bf16 with float32 sums: the shape of a real kernel, small enough to read.
//
// Tiles of 64 x 64 x 32, 4 warps of 32 x 32. Two buffers in shared memory: cp.async fills one while mma.sync reads the other.
// Rows of a tile have 4 chunks of 16 bytes; chunk c of row r lies at c ^ (r / 2 % 4), so that 8 rows of a column of chunks
// are in 8 different groups of banks. Rows past T are filled with zeros and not stored. K is a multiple of 32, N of 64.
//
// -DBUG_x plants a fault, see tests/emulator/planted_test.ts.
#include <cuda_bf16.h>
#include <stdint.h>

constexpr int kTile = 64;
constexpr int kDepth = 32;
constexpr int kThreads = 128;
constexpr int kTileBytes = kTile * kDepth * 2;

#ifdef BUG_ROW_LIMIT
#define ROWS(T) ((T) + 1)
#else
#define ROWS(T) (T)
#endif

__device__ __forceinline__ void copy16(uint32_t to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory"); }
__device__ __forceinline__ void load4(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
#ifdef BUG_OPERANDS
      "{%4,%6,%5,%7}, {%8,%9}, {%0,%1,%2,%3};"
#else
      "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
#endif
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Byte offset of a chunk of 16 bytes in a tile.
__device__ __forceinline__ uint32_t place(int row, int chunk) {
#ifdef BUG_SWIZZLE
  return row * kDepth * 2 + chunk * 16;
#else
  return row * kDepth * 2 + ((chunk ^ (row >> 1 & 3)) * 16);
#endif
}

// Copies a tile [64, 32]: 256 chunks, 2 a thread.
__device__ __forceinline__ void fetch(uint32_t to, const __nv_bfloat16* from, int rows, int K) {
#pragma unroll
  for (int j = 0; j < kTile * 4 / kThreads; j++) {
    const int i = j * kThreads + threadIdx.x, row = i >> 2, chunk = i & 3;
    const bool there = row < rows;
    copy16(to + place(row, chunk), from + (there ? (size_t)row * K : 0) + chunk * 8, there ? 16 : 0);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads) gemm(
    const __nv_bfloat16* __restrict__ x, const __nv_bfloat16* __restrict__ w, float* __restrict__ y, int T, int N, int K) {
  extern __shared__ __align__(128) char shared[];
  const uint32_t base = (uint32_t)__cvta_generic_to_shared(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row0 = blockIdx.x * kTile, column0 = blockIdx.y * kTile;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  float sum[2][4][4] = {};

  auto tile = [&](int k, int buffer) {
    fetch(base + buffer * 2 * kTileBytes, x + (size_t)row0 * K + k, ROWS(T) - row0, K);
    fetch(base + (buffer * 2 + 1) * kTileBytes, w + (size_t)column0 * K + k, kTile, K);
    commit();
  };
  tile(0, 0);
  for (int k = 0; k < K; k += kDepth) {
    const int buffer = k / kDepth & 1;
    if (k + kDepth < K) {
      tile(k + kDepth, buffer ^ 1);
#ifdef BUG_WAIT
      wait<2>();
#else
      wait<1>();
#endif
    } else {
#ifdef BUG_WAIT
      wait<1>();
#else
      wait<0>();
#endif
    }
#ifndef BUG_BARRIER_BEFORE
    __syncthreads();
#endif
    const uint32_t a_tile = base + buffer * 2 * kTileBytes, b_tile = a_tile + kTileBytes;
#pragma unroll
    for (int step = 0; step < 2; step++) {
      uint32_t a[2][4], b[2][4];
#pragma unroll
      for (int i = 0; i < 2; i++) load4(a[i], a_tile + place(warp_row + i * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < 2; j++) {
        load4(b[j], b_tile + place(warp_column + j * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) multiply(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
#ifndef BUG_BARRIER_AFTER
    __syncthreads();
#endif
  }
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = row0 + warp_row + i * 16 + half * 8 + lane / 4;
        const int column = column0 + warp_column + j * 8 + lane % 4 * 2;
        if (row < ROWS(T)) *(float2*)(y + (size_t)row * N + column) = make_float2(sum[i][j][half * 2], sum[i][j][half * 2 + 1]);
      }
}
