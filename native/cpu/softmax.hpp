// Cross-entropy of a row of logits and what it takes of it: shared by the kernels of lm_head_loss.
#pragma once
#include <cmath>
#include <limits>

#include "cpu/gemm_pack.hpp"

namespace pacac {

/// Of the logits of a row that came by, the target's left out: the largest, and the sum of exp(z - top). Beside them the target's.
///
/// It is kept apart so that what it leaves of the probability, sum / total, is exact however sure the model is of it: 1 - p is not.
struct LogitRow {
  static constexpr float kLowest = std::numeric_limits<float>::lowest();
  float top = kLowest, sum = 0.0f, target = kLowest;

  /// to[i] = exp(z[i] - top), n of them, 0 at the target's place `at` where that is among them; `to` may begin where z does, whatever
  /// its type. Returns what all that was made of earlier ones is to be multiplied by (Milakov and Gimelshein 2018).
  template <class E>
  float take_in(float* z, std::int64_t n, std::int64_t at, E* to) {
    const bool here = at >= 0 && at < n;
    if (here) {
      target = z[at];
      z[at] = kLowest;
    }
    const float before = top;
    raise(z, n);
    const float shrink = std::exp(before - top);
    sum *= shrink;
    // Small terms are lost in a large sum: short runs are summed up by themselves.
    constexpr std::int64_t kRun = 512;
    for (std::int64_t v = 0; v < n; v += kRun) sum += exponentials(z + v, smaller(kRun, n - v), to + v);
    if (here) to[at] = round_to<E>(0.0f);
    return shrink;
  }

  /// -log of the target's probability; what exp(z - top) of the others is to be multiplied by to be a probability; the target's
  /// probability less 1.
  struct Ending {
    float loss, others, target;
  };
  Ending ending() const {
    // Of the target and the others the larger is 1, so that neither is lost.
    const float highest = top > target ? top : target, shrink = std::exp(top - highest);
    const float rest = sum * shrink, total = rest + std::exp(target - highest);
    return {target >= top ? std::log1p(rest) : highest - target + std::log(total), shrink / total, -rest / total};
  }

 private:
  void raise(const float* z, std::int64_t n) {
    constexpr int kChains = 4;  // a maximum waits for the one before
    Vec largest[kChains];
    for (Vec& chain : largest) chain = broadcast(top);
    std::int64_t v = 0;
    for (; v + kChains * Vec::lanes <= n; v += kChains * Vec::lanes) {
      for (int c = 0; c < kChains; ++c) largest[c] = max(largest[c], load(z + v + c * Vec::lanes));
    }
    for (; v + Vec::lanes <= n; v += Vec::lanes) largest[0] = max(largest[0], load(z + v));
    top = max_of(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
    for (; v < n; ++v) top = z[v] > top ? z[v] : top;
  }
  /// A vector is written after it was read, and never beyond: so `to` may overlap z.
  template <class E>
  float exponentials(const float* z, std::int64_t n, E* to) const {
    const Vec shift = broadcast(top);
    Vec sums = zero();
    std::int64_t v = 0;
    for (; v + Vec::lanes <= n; v += Vec::lanes) {
      const Vec e = exp(load(z + v) - shift);
      store(to + v, e);
      sums = sums + e;
    }
    float total = pacac::sum(sums);
    if (v == n) return total;
    const int left = static_cast<int>(n - v);
    const Vec e = exp(load_partial(z + v, left) - shift);
    store_partial(to + v, e, left);
    float last[Vec::lanes];
    store(last, e);
    for (int i = 0; i < left; ++i) total += last[i];
    return total;
  }
};

/// Lists tokens that have a target, of `count`; every thread makes the same list. Of the others, losses and dx [count, width] become 0,
/// each thread's share. Returns how many are in the list.
inline std::int64_t list_targets(const Worker& worker, const std::int32_t* target, std::int64_t count, std::int64_t vocab,
                                 std::int32_t* tokens, float* losses, float* dx, std::int64_t width) {
  const auto has = [&](std::int64_t t) { return target[t] >= 0 && target[t] < vocab; };
  std::int64_t listed = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    if (has(t)) tokens[listed++] = static_cast<std::int32_t>(t);
  }
  const auto [begin, end] = worker.share(count);
  for (std::int64_t t = begin; t < end; ++t) {
    if (has(t)) continue;
    losses[t] = 0.0f;
    for (std::int64_t d = 0; d < width; ++d) dx[t * width + d] = 0.0f;
  }
  return listed;
}

/// to[i] = factor to[i], i < n.
inline void scale_row(float* to, float factor, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + Vec::lanes <= n; i += Vec::lanes) store(to + i, broadcast(factor) * load(to + i));
  for (; i < n; ++i) to[i] *= factor;
}

}  // namespace pacac
