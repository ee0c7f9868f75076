// How large a thread's share of a region is: what each got done of the same kernel a moment ago.
//
// A core that another program shares, or a smaller one, is slower at some kernels and not at others (tile registers lose half of their
// rate, memory none), and stays so for seconds. So each kernel has its own shares, learned from call to call; one that is called once a
// step, and is bound by arithmetic, has those of another of its kind. No result depends on them: kernels for which it matters
// who computes what cut the work by themselves.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/program.hpp"

namespace pacac {

/// Each thread keeps its own copy of all shares. They are equal, since all threads learn the same from the same times.
class Balance {
 public:
  /// @param uneven shares are fixed and differ: what depends on them would show
  Balance(const Program& program, int threads, bool uneven)
      : threads_(threads), times_(static_cast<std::size_t>(2 * threads)), known_(static_cast<std::size_t>(threads)) {
    if (threads == 1) return;
    if (uneven) {
      for (int t = 0; t <= threads; ++t) uneven_.push_back(static_cast<double>(t * (t + 1)) / (threads * (threads + 1)));
    }
    for (Known& known : known_) {
      known.bounds.resize(static_cast<std::size_t>(program.kernel_count * (threads + 1)));
      known.next.resize(static_cast<std::size_t>(threads + 1));
      known.learned.resize(static_cast<std::size_t>(program.kernel_count));
    }
  }

  /// Where the threads' shares of a kernel begin; nullptr: they are equal.
  const double* bounds(int thread, const KernelEntry& kernel) {
    if (threads_ == 1) return nullptr;
    if (!uneven_.empty()) return uneven_.data();
    const Known& known = known_[static_cast<std::size_t>(thread)];
    if (const double* const own = known.of(kernel.index, threads_)) return own;
    return is_arithmetic(kernel) && known.arithmetic >= 0 ? known.of(known.arithmetic, threads_) : nullptr;
  }

  /// Before the barrier of region 0, 1, 2 …: how long this thread worked, and until when.
  void worked(int thread, std::int64_t region, Moment begin, Moment end) { times_of(region)[thread] = {end - begin, end}; }

  /// Behind that barrier: what follows for the next call of the kernel. `bounds` is what bounds() gave for this one.
  void learn(int thread, const KernelEntry& kernel, std::int64_t region, const double* bounds) {
    if (threads_ == 1) return;
    const Time* const times = times_of(region);
    Known& known = known_[static_cast<std::size_t>(thread)];
    known.last = times[0].end;
    const auto share = [&](int t) { return bounds == nullptr ? 1.0 / threads_ : bounds[t + 1] - bounds[t]; };
    const auto rate = [&](int t) { return share(t) / static_cast<double>(times[t].worked); };
    double rates = 0;
    for (int t = 0; t < threads_; ++t) {
      if (times[t].worked < kTooShort) return;
      rates += rate(t);
    }
    double* const next = known.next.data();
    next[0] = 0;
    for (int t = 0; t < threads_; ++t) {
      next[t + 1] = next[t] + share(t) + kFollowed * (std::max(rate(t) / rates, kLeast / threads_) - share(t));
    }
    double* const to = known.bounds.data() + kernel.index * (threads_ + 1);
    for (int t = 0; t <= threads_; ++t) to[t] = next[t] / next[threads_];
    known.learned[static_cast<std::size_t>(kernel.index)] = known.last;
    if (is_arithmetic(kernel)) known.arithmetic = kernel.index;
  }

 private:
  struct alignas(64) Time {
    Moment worked = 0, end = 0;
  };
  struct alignas(64) Known {
    std::vector<double> bounds;   ///< of each kernel, threads + 1
    std::vector<double> next;     ///< what becomes of a kernel's
    std::vector<Moment> learned;  ///< of each kernel, when; 0: never
    Moment last = 0;              ///< the end of the last region, the same for all threads
    std::int32_t arithmetic = -1; ///< the last of these kernels that was learned of
    const double* of(std::int32_t kernel, int threads) const {
      const Moment at = learned[static_cast<std::size_t>(kernel)];
      return at == 0 || last - at > kForgotten ? nullptr : bounds.data() + kernel * (threads + 1);
    }
  };
  static bool is_arithmetic(const KernelEntry& kernel) { return kernel.flops > 100 * kernel.bytes; }

  static constexpr Moment kForgotten = 250'000'000;  // ns: a core may be another's by then
  static constexpr Moment kTooShort = 5'000;         // ns: what threads meet with differs by as much as they do
  static constexpr double kFollowed = 0.25;          // of what the last call says: times of one call scatter by some percent
  static constexpr double kLeast = 0.25;             // of an equal share: who has none is never heard of again

  /// Of two regions in turn: nobody is at the next but one before all have read these.
  Time* times_of(std::int64_t region) { return times_.data() + region % 2 * threads_; }

  const int threads_;
  std::vector<Time> times_;
  std::vector<Known> known_;
  std::vector<double> uneven_;
};

}  // namespace pacac
