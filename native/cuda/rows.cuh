// Loops of kernels that move rows or flat arrays: a group of neighbouring values for each lane, in one access. Where all values are
// bf16 a group has 8, where some are float32 it has 4: lanes of a warp then touch whole sectors, whichever type they move.
#pragma once
#include "cuda/ptx.cuh"

namespace pacac {

/// Neighbouring values in float32.
template <int count>
struct Values {
  float at[count];
};

__device__ inline Values<8> widened(const Eight& eight) {
  Values<8> values;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __bfloat1622float2(eight.pair[i]);
    values.at[2 * i] = pair.x;
    values.at[2 * i + 1] = pair.y;
  }
  return values;
}

/// Two bf16 of a register in float32.
__device__ inline float2 unpacked(std::uint32_t bits) { return {__uint_as_float(bits << 16), __uint_as_float(bits & 0xffff0000u)}; }

/// `from` is a multiple of the group's bytes.
template <int count>
__device__ inline Values<count> load(const bf16* from) {
  static_assert(count == 1 || count == 2 || count == 4 || count == 8);
  if constexpr (count == 8) {
    return widened(Eight::from(from));
  } else if constexpr (count == 4) {
    const uint2 bits = *reinterpret_cast<const uint2*>(from);
    const float2 low = unpacked(bits.x), high = unpacked(bits.y);
    return {low.x, low.y, high.x, high.y};
  } else if constexpr (count == 2) {
    const float2 pair = unpacked(*reinterpret_cast<const std::uint32_t*>(from));
    return {pair.x, pair.y};
  } else {
    return {__bfloat162float(*from)};
  }
}
template <int count>
__device__ inline Values<count> load(const float* from) {
  static_assert(count == 1 || count == 2 || count == 4 || count == 8);
  if constexpr (count == 8) {
    const float4 low = *reinterpret_cast<const float4*>(from), high = *reinterpret_cast<const float4*>(from + 4);
    return {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
  } else if constexpr (count == 4) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    return {four.x, four.y, four.z, four.w};
  } else if constexpr (count == 2) {
    const float2 pair = *reinterpret_cast<const float2*>(from);
    return {pair.x, pair.y};
  } else {
    return {*from};
  }
}

/// Rounds to nearest even.
template <int count>
__device__ inline void store(bf16* to, const Values<count>& values) {
  static_assert(count == 1 || count == 2 || count == 4 || count == 8);
  const float(&v)[count] = values.at;
  if constexpr (count == 8) {
    store_16(to, uint4{packed(v[0], v[1]), packed(v[2], v[3]), packed(v[4], v[5]), packed(v[6], v[7])});
  } else if constexpr (count == 4) {
    store_8(to, uint2{packed(v[0], v[1]), packed(v[2], v[3])});
  } else if constexpr (count == 2) {
    *reinterpret_cast<std::uint32_t*>(to) = packed(v[0], v[1]);
  } else {
    *to = __float2bfloat16_rn(v[0]);
  }
}
template <int count>
__device__ inline void store(float* to, const Values<count>& values) {
  static_assert(count == 1 || count == 2 || count == 4);
  const float(&v)[count] = values.at;
  if constexpr (count == 4) {
    store_16(to, float4{v[0], v[1], v[2], v[3]});
  } else if constexpr (count == 2) {
    store_8(to, uint2{__float_as_uint(v[0]), __float_as_uint(v[1])});
  } else {
    *to = v[0];
  }
}

/// visit(d) for this lane's groups of a row of `width`, a multiple of `group`.
template <int width, int group, class Visit>
__device__ inline void each_group(const Visit& visit) {
  static_assert(width % group == 0);
#pragma unroll 4
  for (int d = threadIdx.x % 32 * group; d < width; d += 32 * group) visit(d);
}

}  // namespace pacac
