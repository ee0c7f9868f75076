// Small kernels, each for a part of the emulator: barriers, shared memory, shuffles, votes, atomics, divergence, vectors.
// -DBUG_x plants a fault, see tests/emulator/planted_test.ts.
#include <cuda_bf16.h>
#include <stdint.h>

// Sum over the block's threads; every thread gets it. Blocks have 128 threads.
__device__ __forceinline__ float block_sum(float v, float* shared) {
  for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
#ifndef BUG_BARRIER_BEFORE
  __syncthreads();
#endif
  v = shared[0] + shared[1] + shared[2] + shared[3];
#ifndef BUG_BARRIER_AFTER
  __syncthreads();
#endif
  return v;
}

// y[row] = softmax(x[row]), a block for a row of n columns.
extern "C" __global__ void __launch_bounds__(128) softmax(const float* x, float* y, int n) {
  __shared__ float partial[4];
  const float* row = x + (size_t)blockIdx.x * n;
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += 128) sum += __expf(row[i]);
  const float total = block_sum(sum, partial);
  for (int i = threadIdx.x; i < n; i += 128) y[(size_t)blockIdx.x * n + i] = __expf(row[i]) / total;
  // A second use of the same words, as in a loop over rows.
  const float again = block_sum(1.0f, partial);
  if (threadIdx.x == 0 && again != 128.0f) y[0] = -1;
}

// y[n, m] = x[m, n]^T by tiles of 32 x 32; blocks of 32 x 8 threads. The row of 33 keeps columns in different banks.
#ifdef BUG_PADDING
constexpr int kRow = 32;
#else
constexpr int kRow = 33;
#endif
extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
  __shared__ float tile[32][kRow];
  const int column = blockIdx.x * 32 + threadIdx.x;
  for (int i = threadIdx.y; i < 32; i += 8) {
    const int row = blockIdx.y * 32 + i;
    if (row < m && column < n) tile[i][threadIdx.x] = x[(size_t)row * n + column];
  }
  __syncthreads();
  const int to = blockIdx.y * 32 + threadIdx.x;
  for (int i = threadIdx.y; i < 32; i += 8) {
    const int row = blockIdx.x * 32 + i;
#ifdef BUG_ROW_LIMIT
    if (row <= n && to < m) y[(size_t)row * m + to] = tile[threadIdx.x][i];
#else
    if (row < n && to < m) y[(size_t)row * m + to] = tile[threadIdx.x][i];
#endif
  }
}

// y = 2 x, four values at a time.
extern "C" __global__ void scale4(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef BUG_LIMIT
  if (i * 4 > n) return;
#else
  if (i * 4 >= n) return;
#endif
#ifdef BUG_ALIGN
  const float4 v = *(const float4*)(x + i * 4 + (i == 3 ? 1 : 0));
#else
  const float4 v = *(const float4*)(x + i * 4);
#endif
  *(float4*)(y + i * 4) = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
}

// Collatz steps: lanes leave the loop at different times. 64-bit integers on the way.
extern "C" __global__ void collatz(const int* x, int* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long v = x[i];
  int steps = 0;
  while (v != 1) {
    if (v % 2 == 0) v /= 2;
    else v = 3 * v + 1;
    steps++;
  }
  y[i] = steps;
}

// Histogram of bytes by shared and then global atomics; blocks of 256.
extern "C" __global__ void histogram(const uint8_t* x, unsigned* counts, int n) {
  __shared__ unsigned own[256];
#ifndef BUG_CLEAR
  own[threadIdx.x] = 0;
#endif
  __syncthreads();
  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) atomicAdd(&own[x[i]], 1u);
  __syncthreads();
  atomicAdd(&counts[threadIdx.x], own[threadIdx.x]);
}

// Sums of groups of 8 lanes by partial shuffles, votes and a reduction; one warp.
extern "C" __global__ void lanes(const int* x, int* y) {
  const int lane = threadIdx.x;
  int v = x[lane];
  const unsigned group = 0xffu << (lane & ~7);
  for (int step = 4; step > 0; step /= 2) v += __shfl_down_sync(group, v, step, 8);
  y[lane] = __shfl_sync(group, v, 0, 8);
  y[32 + lane] = __ballot_sync(~0u, x[lane] > 0);
  y[64 + lane] = __reduce_max_sync(~0u, x[lane]);
  y[96 + lane] = __any_sync(~0u, x[lane] == 7) * 2 + __all_sync(~0u, x[lane] < 1000);
  y[128 + lane] = __match_any_sync(~0u, x[lane] & 3);
  if (lane < 10) y[160 + lane] = __shfl_up_sync(0x3ff, x[lane], 1);
}

// sum over tokens, split over blocks of 128 threads. partial[blocks], then the last block adds in order.
__device__ unsigned finished;
extern "C" __global__ void __launch_bounds__(128) split_sum(const float* x, float* partial, float* y, int n) {
  __shared__ float shared[4];
  __shared__ bool last;
  float v = 0;
  for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) v += x[i];
  v = block_sum(v, shared);
#ifdef BUG_SPLIT
  if (threadIdx.x == 0) y[0] = (blockIdx.x == 0 ? 0 : y[0]) + v;
#else
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = v;
#ifndef BUG_FENCE
    __threadfence();
#endif
    last = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return;
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int i = 0; i < gridDim.x; i++) sum += partial[i];
    y[0] = sum;
  }
#endif
}

// Threads of the second half of the block skip a barrier.
extern "C" __global__ void skips_barrier(float* y) {
  if (threadIdx.x < 32) __syncthreads();
  else {
    asm volatile("bar.sync 1;");
  }
  y[threadIdx.x] = 1;
}

// Half of a warp comes to a barrier that the other half never sees.
extern "C" __global__ void half_warp(float* y) {
  if (threadIdx.x < 16) asm volatile("bar.sync 0;");
  else asm volatile("bar.sync 0;");
  y[threadIdx.x] = 1;
}

// Producer and consumer warps by named barriers: warp 0 writes, warps 1 to 3 read.
extern "C" __global__ void named(float* y) {
  __shared__ float box[32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (warp == 0) {
    box[lane] = lane;
    asm volatile("bar.arrive 1, 128;" ::: "memory");
  } else {
#ifndef BUG_NAMED
    asm volatile("bar.sync 1, 128;" ::: "memory");
#else
    asm volatile("bar.sync 2, 96;" ::: "memory");
#endif
    y[(warp - 1) * 32 + lane] = box[lane];
  }
}

// Constants, local memory, a switch, special functions in float64.
__constant__ float kTable[4] = {1.5f, -2.0f, 0.25f, 8.0f};
extern "C" __global__ void mixed(const int* which, float* y, double* z, int n) {
  const int i = threadIdx.x;
  float history[8];
  for (int k = 0; k < 8; k++) history[k] = kTable[k & 3] * (i + k);
  float v = history[which[i] & 7];
  switch (which[i] % 5) {
    case 0: v += 10; break;
    case 1: v *= 3; break;
    case 2: v = sqrtf(fabsf(v)); break;
    case 3: v = tanhf(v * 0.01f); break;
    default: v = sinf(v) + logf(1 + fabsf(v)); break;
  }
  y[i] = v;
  z[i] = exp((double)v * 0.01) / 3.0 + n;
}

// bf16 pairs.
extern "C" __global__ void pairs(const __nv_bfloat162* x, __nv_bfloat162* y, float* sums) {
  const int i = threadIdx.x;
  const __nv_bfloat162 v = x[i];
  const __nv_bfloat162 w = __hfma2(v, v, __float2bfloat162_rn(0.5f));
  y[i] = __hmax2(w, __hmul2(v, __float2bfloat162_rn(-3.0f)));
  const float2 f = __bfloat1622float2(w);
  sums[i] = f.x + f.y;
}

// A structure by value, indexed at run time: parameters have addresses.
struct Many {
  float* to[4];
  int count[4];
  float value;
};
extern "C" __global__ void many(const __grid_constant__ Many given) {
  const int b = blockIdx.x;
  if (threadIdx.x < given.count[b]) given.to[b][threadIdx.x] = given.value * b;
}

// bar.red: how many threads of the block see an odd number, and whether all see a positive one.
extern "C" __global__ void counted(const int* x, int* y) {
  const int v = x[threadIdx.x];
  const int odd = __syncthreads_count(v & 1);
  const int all = __syncthreads_and(v > 0);
  y[threadIdx.x] = odd * 2 + (all != 0);
}
