// adamw: parameters f32[32], gradients f32[32], moment1 f32[32], moment2 f32[32], norm f32[1],
// hyper f32[5] -> new_parameters f32[32], new_moment1 f32[32], new_moment2 f32[32]
//
//   g  = gradient · min(1, max_norm / (norm + 1e-6))            (max_norm 0: no clipping)
//   p' = p - lr · decay · p
//   m  = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g²
//   p  = p' - lr · (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//
// All [P]; norm: [1]; hyper: [5] = lr, decay, max_norm, 1 - beta1^t, 1 - beta2^t. In place.
// 480 FLOP over 920 B: bound by memory, all trained parameters in one call.
#include <algorithm>

#include "cpu/sweep.hpp"

namespace pacac {

void adamw_P32_19ae20e5(void* const* operand, const Worker& worker) {
  constexpr std::int64_t kElements = 32;
  constexpr std::int64_t kGrain = 64;
  constexpr float kBeta1 = 0.899999976f, kOneMinusBeta1 = 0.09999999999999998f;
  constexpr float kBeta2 = 0.999000013f, kOneMinusBeta2 = 0.0010000000000000009f;
  constexpr float kEpsilon = 9.99999994e-09f;
  const float* const parameters = static_cast<const float*>(operand[0]);
  const float* const gradients = static_cast<const float*>(operand[1]);
  const float* const moment1 = static_cast<const float*>(operand[2]);
  const float* const moment2 = static_cast<const float*>(operand[3]);
  const float* const norm = static_cast<const float*>(operand[4]);
  const float* const hyper = static_cast<const float*>(operand[5]);
  float* const new_parameters = static_cast<float*>(operand[6]);
  float* const new_moment1 = static_cast<float*>(operand[7]);
  float* const new_moment2 = static_cast<float*>(operand[8]);

  const float learning_rate = hyper[0], decay = hyper[1], max_norm = hyper[2];
  const float clip = max_norm > 0.0f ? std::min(1.0f, max_norm / (norm[0] + 1e-6f)) : 1.0f;
  const Vec scale = broadcast(clip), shrink = broadcast(learning_rate * decay);
  const Vec step = broadcast(learning_rate / hyper[3]), correction2 = broadcast(1.0f / hyper[4]);
  const Vec beta1 = broadcast(kBeta1), beta2 = broadcast(kBeta2), epsilon = broadcast(kEpsilon);
  const Vec one_minus_beta1 = broadcast(kOneMinusBeta1),
            one_minus_beta2 = broadcast(kOneMinusBeta2);

  const auto [begin, end] = worker.share(kElements, kGrain);
  sweep(begin, end, [&](std::int64_t i, auto lanes) {
    const Vec g = lanes.load(gradients + i) * scale;
    const Vec p = lanes.load(parameters + i);
    const Vec m = fma(beta1, lanes.load(moment1 + i), one_minus_beta1 * g);
    const Vec v = fma(beta2, lanes.load(moment2 + i), one_minus_beta2 * g * g);
    const Vec kept = p - shrink * p;
    lanes.store(new_moment1 + i, m);
    lanes.store(new_moment2 + i, v);
    lanes.store(new_parameters + i, kept - step * m / (sqrt(v * correction2) + epsilon));
  });
}

}  // namespace pacac
