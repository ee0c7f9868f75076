// Loops of kernels that move rows or flat arrays: eight neighbouring values a lane, 16 bytes of bf16 an access.
#pragma once
#include "cuda/ptx.cuh"

namespace pacac {

/// Eight neighbouring values in float32.
struct Values {
  float at[8];
};

__device__ inline Values widened(const Eight& eight) {
  Values values;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __bfloat1622float2(eight.pair[i]);
    values.at[2 * i] = pair.x;
    values.at[2 * i + 1] = pair.y;
  }
  return values;
}

/// `from` is a multiple of 16 bytes.
__device__ inline Values load(const bf16* from) { return widened(Eight::from(from)); }
__device__ inline Values load(const float* from) {
  const float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
  return {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
}

/// Rounds to nearest even.
__device__ inline void store(bf16* to, const Values& values) {
  Eight eight;
#pragma unroll
  for (int i = 0; i < 4; ++i) eight.pair[i] = __floats2bfloat162_rn(values.at[2 * i], values.at[2 * i + 1]);
  eight.to(to);
}
__device__ inline void store(float* to, const Values& values) {
  reinterpret_cast<float4*>(to)[0] = make_float4(values.at[0], values.at[1], values.at[2], values.at[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(values.at[4], values.at[5], values.at[6], values.at[7]);
}

/// visit(d) for this lane's groups of eight of a row of `width`, a multiple of 8.
template <int width, class Visit>
__device__ inline void each_group(const Visit& visit) {
  static_assert(width % 8 == 0);
#pragma unroll 4
  for (int d = threadIdx.x % 32 * 8; d < width; d += 32 * 8) visit(d);
}

}  // namespace pacac
