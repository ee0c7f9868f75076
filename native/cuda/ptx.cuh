// One wrapper for each PTX instruction that kernels use beyond plain C++. Whoever reads a kernel needs only this page.
//
// Lane layouts (PTX ISA, "Matrix Fragments for mma.m16n8k16"): lane = 4 g + t, g = 0 … 7, t = 0 … 3; a register holds two
// neighbouring bf16, the lower index in its low half.
//
//   A 16 x 16 (row m, column k)      B 16 x 8 (row k, column n)       C 16 x 8 of float32
//     a[0]  m = g      k = 2t,2t+1     b[0]  k = 2t,2t+1    n = g       c[0],c[1]  m = g      n = 2t,2t+1
//     a[1]  m = g + 8  k = 2t,2t+1     b[1]  k = 2t+8,2t+9  n = g       c[2],c[3]  m = g + 8  n = 2t,2t+1
//     a[2]  m = g      k = 2t+8,2t+9
//     a[3]  m = g + 8  k = 2t+8,2t+9
#pragma once
#include <cuda_bf16.h>

#include <cstddef>
#include <cstdint>

namespace pacac {

using bf16 = __nv_bfloat16;

constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

/// The address that shared-memory instructions take.
__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Starts a copy of 16 bytes from global to shared memory; of the 16 only the first `bytes` are read, the rest becomes zero.
/// Both addresses are multiples of 16. The data is there after copy_wait and a barrier.
__device__ inline void copy_async(std::uint32_t to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

/// Ends a group of copies.
__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `pending` groups of this thread are still on their way.
template <int pending>
__device__ inline void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

/// Loads four 8 x 8 matrices of bf16. Lanes 8i … 8i+7 give the addresses of the rows of matrix i (16 bytes each);
/// of matrix i, lane 4 g + t receives in out[i] row g, columns 2t and 2t+1.
__device__ inline void load_matrices(std::uint32_t (&out)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

/// The same, each matrix transposed: lane 4 g + t receives rows 2t and 2t+1 of column g.
__device__ inline void load_matrices_transposed(std::uint32_t (&out)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

/// c += A B on a tensor core: m16n8k16, bf16 operands, float32 sums.
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Two values as neighbouring bf16 in one register, the first in the low half.
__device__ inline std::uint32_t packed(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// 2^x, about 2 units in the last place; flushes subnormal results to zero.
__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / (1 + e^-x); 0 and 1 at the ends.
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + exp2_approximate(-kLog2E * x)); }

/// Stores 16 or 8 bytes to device memory in one access; `to` is a multiple of them. nvcc may part a plain store of a structure
/// into one for each member.
__device__ inline void store_16(void* to, const uint4& bits) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(bits.x), "r"(bits.y), "r"(bits.z), "r"(bits.w)
               : "memory");
}
__device__ inline void store_8(void* to, const uint2& bits) {
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)), "r"(bits.x), "r"(bits.y) : "memory");
}
/// Four float32 in one access.
__device__ inline void store_16(float* to, const float4& values) {
  store_16(to, uint4{__float_as_uint(values.x), __float_as_uint(values.y), __float_as_uint(values.z), __float_as_uint(values.w)});
}

/// Sum over the 32 lanes, the same bits in each.
__device__ inline float warp_sum(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/// Largest of the 32 lanes.
__device__ inline float warp_max(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

/// Eight bf16, moved in one access of 16 bytes.
struct alignas(16) Eight {
  __nv_bfloat162 pair[4];

  /// `at` is a multiple of 16 bytes.
  static __device__ Eight from(const bf16* at) {
    // As uint4: nvcc copies a structure of pairs pair by pair, four accesses for one.
    const uint4 bits = *reinterpret_cast<const uint4*>(at);
    return *reinterpret_cast<const Eight*>(&bits);
  }
  __device__ void to(bf16* at) const { store_16(at, *reinterpret_cast<const uint4*>(this)); }
};

/// Sums in float32, rounded once.
__device__ inline Eight operator+(const Eight& a, const Eight& b) {
  Eight sum;
  for (int i = 0; i < 4; ++i) {
    const float2 left = __bfloat1622float2(a.pair[i]), right = __bfloat1622float2(b.pair[i]);
    sum.pair[i] = __floats2bfloat162_rn(left.x + right.x, left.y + right.y);
  }
  return sum;
}

}  // namespace pacac
