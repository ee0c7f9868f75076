// What is fused behind a matrix product and needs several columns at once: it runs over each finished block of C, from cache.
//
// A step is called with the block's first row m, its rows, its first column n, its columns, as `finish` of gemm.hpp.
// Steps that C need not be stored for find the block in scratch (StoreBlock); others find C where it lies.
#pragma once
#include "cpu/gemm_group.hpp"
#include "cpu/sweep.hpp"

namespace pacac {

/// Asks for the cache line of an element that a step will read or write. A block's rows are short and far apart, so that the
/// processor foresees nothing; asked for while the sums are computed, the lines are there when the step runs.
template <class E>
inline void expect(const E* from, std::int64_t i) {
  if constexpr (!std::is_same_v<E, None>) __builtin_prefetch(from + i);
}

/// A store with a step behind it; step.expect(m, n) is told of every vector of sums.
template <class Store, class Step>
struct Then : Store {
  Step step;
  void whole(const Place& at, Vec sum) const {
    Store::whole(at, sum);
    step.expect(at.row, at.column);
  }
  void finish(std::int64_t m, std::int64_t high, std::int64_t n, std::int64_t wide) const { step(m, high, n, wide); }
};

/// Sums stay in scratch, [MC][NC], until the step has made of them what is stored. K must not be cut.
template <class T, class Step>
struct StoreBlock {
  float* block;
  Step step;
  void whole(const Place& at, Vec sum) const {
    store(block + at.down * T::NC + at.right, sum);
    if constexpr (requires { step.expect(at.row, at.column); }) step.expect(at.row, at.column);
  }
  void part(const Place& at, Vec sum, int) const { whole(at, sum); }
  void finish(std::int64_t m, std::int64_t high, std::int64_t n, std::int64_t wide) const {
    step(Block{block, m, high, n, wide});
  }
  /// Finished sums: rows m …, columns n … of C.
  struct Block {
    const float* sums;
    std::int64_t m, high, n, wide;
    static constexpr std::int64_t kStride = T::NC;
  };
};
template <class T, class Step>
StoreBlock<T, Step> store_block(std::byte* scratch, const Step& step) {
  return {reinterpret_cast<float*>(scratch), step};
}

/// The bias of a member where it has one.
template <class Lanes, class Bias>
inline Vec biased(Vec sum, const Lanes& lanes, const Bias* bias, std::int64_t i) {
  if constexpr (std::is_same_v<Bias, None>) return sum;
  else return sum + lanes.load(bias + i);
}

/// Each member's columns go where its own step takes them.
template <class Layout, class... Steps>
struct EachMember {
  std::tuple<Steps...> members;
  template <class Block>
  void operator()(const Block& block) const {
    for (std::int64_t u = 0; u < block.wide; u += Layout::kUnit) {
      const auto [member, column] = Layout::at(block.n + u);
      const std::int64_t count = smaller(Layout::kUnit, Layout::kOuts[member] - column);
      with_member(members, member, [&, column = column](const auto& step) {
        for (std::int64_t r = 0; r < block.high; r++) {
          step(block.m + r, column, count, block.sums + r * Block::kStride + u);
        }
      });
    }
  }
};
template <class Layout, class... Steps>
EachMember<Layout, Steps...> each_member(const Steps&... steps) {
  return {{steps...}};
}

/// y[t,o] = sum (+ bias[o]), N columns.
template <std::int64_t N, class E, class Bias = None>
struct Plainly {
  E* y;
  const Bias* bias = nullptr;
  void operator()(std::int64_t t, std::int64_t o, std::int64_t count, const float* sums) const {
    sweep(0, count, [&](std::int64_t i, auto lanes) {
      lanes.store(y + t * N + o + i, biased(lanes.load(sums + i), lanes, bias, o + i));
    });
  }
};

/// The same with whole heads rotated by the token's position (ops: rope). table: [S, head_dim], cosines, then sines.
template <std::int64_t N, std::int64_t head_dim, bool inverse, class E, class Bias = None>
struct Rotated {
  E* y;
  const std::int32_t* position;
  const float* table;
  const Bias* bias = nullptr;
  void operator()(std::int64_t t, std::int64_t o, std::int64_t count, const float* sums) const {
    constexpr std::int64_t kHalf = head_dim / 2;
    const float* const row = table + position[t] * head_dim;
    const Vec sign = broadcast(inverse ? -1.0f : 1.0f);
    for (std::int64_t head = 0; head < count; head += head_dim) {
      E* const to = y + t * N + o + head;
      sweep(0, kHalf, [&](std::int64_t i, auto lanes) {
        const Vec cosine = lanes.load(row + i), sine = sign * lanes.load(row + kHalf + i);
        const Vec low = biased(lanes.load(sums + head + i), lanes, bias, o + head + i);
        const Vec high = biased(lanes.load(sums + head + kHalf + i), lanes, bias, o + head + kHalf + i);
        lanes.store(to + i, low * cosine - high * sine);
        lanes.store(to + kHalf + i, fma(high, cosine, low * sine));
      });
    }
  }
};

/// Where a value is wanted, it is stored.
template <class Lanes, class E>
inline void keep(const Lanes& lanes, E* to, std::int64_t i, Vec value) {
  if constexpr (!std::is_same_v<E, None>) lanes.store(to + i, value);
}

/// gated = gate · sigmoid(gate) · up from a group ByTurns (ops: swiglu); gate and up are stored where they are wanted.
template <class Layout, class E, class Gate = None, class Up = None, class GateBias = None, class UpBias = None>
struct Gated {
  E* gated;
  Gate* gate = nullptr;
  Up* up = nullptr;
  const GateBias* gate_bias = nullptr;
  const UpBias* up_bias = nullptr;
  void expect(std::int64_t m, std::int64_t n) const {
    constexpr std::int64_t kPanel = Layout::kUnit / 2;
    const auto [member, column] = Layout::at(n);
    const std::int64_t i = m * Layout::kOuts[0] + column + n % kPanel;
    if (member == 0) {
      pacac::expect(gate, i);
      pacac::expect(gated, i);
    } else {
      pacac::expect(up, i);
    }
  }
  template <class Block>
  void operator()(const Block& block) const {
    constexpr std::int64_t kPanel = Layout::kUnit / 2, N = Layout::kOuts[0];
    const Vec one = broadcast(1.0f);
    for (std::int64_t r = 0; r < block.high; r++) {
      const std::int64_t row = (block.m + r) * N;
      for (std::int64_t u = 0; u < block.wide; u += Layout::kUnit) {
        const std::int64_t f = Layout::at(block.n + u).column;
        const float* const sums = block.sums + r * Block::kStride + u;
        sweep(0, smaller(kPanel, N - f), [&](std::int64_t i, auto lanes) {
          const Vec z = biased(lanes.load(sums + i), lanes, gate_bias, f + i);
          const Vec v = biased(lanes.load(sums + kPanel + i), lanes, up_bias, f + i);
          keep(lanes, gate, row + f + i, z);
          keep(lanes, up, row + f + i, v);
          lanes.store(gated + row + f + i, z * v / (one + exp(zero() - z)));
        });
      }
    }
  }
};

/// dgate and dup from their upstream gradient, which lies where dgate will (ops: swiglu_backward). N columns.
template <std::int64_t N, class Gate, class Up>
struct GateGradients {
  float* dgate;
  float* dup;
  const Gate* gate;
  const Up* up;
  void expect(std::int64_t m, std::int64_t n) const {
    pacac::expect(gate, m * N + n);
    pacac::expect(up, m * N + n);
    pacac::expect(dup, m * N + n);
  }
  void operator()(std::int64_t m, std::int64_t high, std::int64_t n, std::int64_t wide) const {
    const Vec one = broadcast(1.0f);
    for (std::int64_t t = m; t < m + high; t++) {
      sweep(t * N + n, t * N + n + wide, [&](std::int64_t i, auto lanes) {
        const Vec upstream = lanes.load(dgate + i), z = lanes.load(gate + i), u = lanes.load(up + i);
        const Vec s = one / (one + exp(zero() - z));
        lanes.store(dup + i, upstream * z * s);
        lanes.store(dgate + i, upstream * u * s * fma(z, one - s, one));
      });
    }
  }
};

}  // namespace pacac
