// adamw: parameters f32[7168], gradients f32[7168], moment1 f32[7168], moment2 f32[7168], norm
// f32[1], hyper f32[5] -> new_parameters f32[7168], new_moment1 f32[7168], new_moment2 f32[7168]
//
//   g  = gradient · min(1, max_norm / (norm + 1e-6))            (max_norm 0: no clipping)
//   p' = p - lr · decay · p
//   m  = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g²
//   p  = p' - lr · (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//
// All [P]; norm: [1]; hyper: [5] = lr, decay, max_norm, 1 - beta1^t, 1 - beta2^t. In place.
// 108 kFLOP over 201 kB: bound by memory, all trained parameters in one launch.
//
// 5 x 256 threads an SM of sm_80 (bound by registers): at most 48 registers, 128 bytes of shared
// memory a block.
#include "cuda/rows.cuh"

namespace pacac {
namespace {

constexpr std::int64_t kElements = 7168;
constexpr int kThreads = 256;
constexpr int kGroup = 4;  // values of a thread
constexpr float kBeta1 = 0.899999976f, kOneMinusBeta1 = 0.09999999999999998f;
constexpr float kBeta2 = 0.999000013f, kOneMinusBeta2 = 0.0010000000000000009f;
constexpr float kEpsilon = 9.99999994e-09f;

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    adamw_P7168_d0a13406(const float* parameters, const float* gradients, const float* moment1,
                         const float* moment2, const float* norm, const float* hyper,
                         float* new_parameters, float* new_moment1, float* new_moment2) {
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kGroup;
  if (i >= kElements) return;
  const float learning_rate = hyper[0], decay = hyper[1], max_norm = hyper[2], unbias1 = hyper[3],
              unbias2 = hyper[4];
  const float clip = max_norm > 0.0f ? fminf(1.0f, max_norm / (norm[0] + 1e-6f)) : 1.0f;
  const Values<kGroup> gradient = load<kGroup>(gradients + i);
  Values<kGroup> p = load<kGroup>(parameters + i), m = load<kGroup>(moment1 + i),
                 v = load<kGroup>(moment2 + i);
#pragma unroll
  for (int e = 0; e < kGroup; ++e) {
    const float g = gradient.at[e] * clip;
    m.at[e] = kBeta1 * m.at[e] + kOneMinusBeta1 * g;
    v.at[e] = kBeta2 * v.at[e] + kOneMinusBeta2 * g * g;
    const float kept = p.at[e] - learning_rate * decay * p.at[e];
    p.at[e] = kept - learning_rate / unbias1 * m.at[e] / (sqrtf(v.at[e] / unbias2) + kEpsilon);
  }
  store(new_moment1 + i, m);
  store(new_moment2 + i, v);
  store(new_parameters + i, p);
}

}  // namespace pacac
