// rms_norm: x bf16[64, 64], weight f32[64] -> y bf16[64, 64], inverse_rms f32[64]
//
//   inverse_rms[t] = 1 / sqrt(mean_d x[t, d]² + eps)
//   y[t, d] = x[t, d] · inverse_rms[t] · weight[d]
//
// x, y: [T, D]; weight: [D]; inverse_rms: [T] (Zhang and Sennrich 2019, eq. 4).
// 16.4 kFLOP over 16.9 kB: bound by memory. A warp takes a row; its second visit finds the row in
// the first-level cache.
//
// 10 x 128 threads an SM of sm_80 (bound by registers): at most 48 registers, 128 bytes of shared
// memory a block.
#include "cuda/rows.cuh"

namespace pacac {
namespace {

constexpr int kTokens = 64;
constexpr int kWidth = 64;
constexpr int kRows = 4;   // of a block
constexpr int kGroup = 4;  // values that a lane moves at a time
constexpr float kEps = 9.99999975e-06f;

}  // namespace

extern "C" __global__ void __launch_bounds__(32 * kRows)
    rms_norm_T64_D64_e3f22057(const bf16* x, const float* weight, bf16* y, float* inverse_rms) {
  const int t = blockIdx.x * kRows + threadIdx.x / 32;
  if (t >= kTokens) return;
  const std::int64_t row = static_cast<std::int64_t>(t) * kWidth;

  float squares = 0.0f;
  each_group<kWidth, kGroup>([&](int d) {
    const Values<kGroup> value = load<kGroup>(x + row + d);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) squares += value.at[i] * value.at[i];
  });
  const float inverse = rsqrtf(warp_sum(squares) / kWidth + kEps);
  if (threadIdx.x % 32 == 0) inverse_rms[t] = inverse;

  each_group<kWidth, kGroup>([&](int d) {
    const Values<kGroup> value = load<kGroup>(x + row + d), gain = load<kGroup>(weight + d);
    Values<kGroup> result;
#pragma unroll
    for (int i = 0; i < kGroup; ++i) result.at[i] = value.at[i] * inverse * gain.at[i];
    store(y + row + d, result);
  });
}

}  // namespace pacac
