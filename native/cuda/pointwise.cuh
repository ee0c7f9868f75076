// Functions of single elements that kernels of their own and epilogues of products share, in float32 on a lane's group of values.
#pragma once
#include "cuda/rows.cuh"

namespace pacac {

/// gate · sigmoid(gate) · up
template <int count>
__device__ inline Values<count> swiglu(const Values<count>& gate, const Values<count>& up) {
  Values<count> y;
#pragma unroll
  for (int e = 0; e < count; ++e) y.at[e] = gate.at[e] * sigmoid(gate.at[e]) * up.at[e];
  return y;
}

/// Two groups: gradients of gate and of up, the low and the high half of a head.
template <int count>
struct Two {
  Values<count> first, second;
};

/// s = sigmoid(gate):  {dy · up · s · (1 + gate · (1 - s)),  dy · gate · s}
template <int count>
__device__ inline Two<count> swiglu_backward(const Values<count>& dy, const Values<count>& gate, const Values<count>& up) {
  Two<count> d;
#pragma unroll
  for (int e = 0; e < count; ++e) {
    const float s = sigmoid(gate.at[e]);
    d.second.at[e] = dy.at[e] * gate.at[e] * s;
    d.first.at[e] = dy.at[e] * up.at[e] * s * (1.0f + gate.at[e] * (1.0f - s));
  }
  return d;
}

template <int count>
__device__ inline Values<count> negated(Values<count> values) {
#pragma unroll
  for (int e = 0; e < count; ++e) values.at[e] = -values.at[e];
  return values;
}

/// Pairs of a head, turned by an angle with this cosine and sine:  {low · cos - high · sin,  high · cos + low · sin}
template <int count>
__device__ inline Two<count> rotated(const Values<count>& low, const Values<count>& high, const Values<count>& cosine, const Values<count>& sine) {
  Two<count> y;
#pragma unroll
  for (int e = 0; e < count; ++e) {
    y.first.at[e] = low.at[e] * cosine.at[e] - high.at[e] * sine.at[e];
    y.second.at[e] = high.at[e] * cosine.at[e] + low.at[e] * sine.at[e];
  }
  return y;
}

}  // namespace pacac
