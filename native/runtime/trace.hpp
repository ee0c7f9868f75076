// Records every kernel call of a few steps, a span for each thread: the material of a timeline.
//
// Memory is taken when recording is asked for, so a step still allocates nothing. What comes after the memory is full is
// counted and not kept. All threads make the same calls in the same order: the i-th span of each belongs to the i-th call.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/program.hpp"

namespace pacac {

/// A call as the schedule makes it.
struct TracedCall {
  const KernelEntry* kernel;
  PhaseIndex phase;
  const std::int32_t* tensors;
};

class Trace {
 public:
  /// One kernel call, kept.
  struct Kept {
    const KernelEntry* kernel;
    PhaseIndex phase;
    std::int32_t tensors[kMaxOperands];
  };
  static constexpr std::int64_t kMost = 1 << 18;  // calls: some 40 MB and 6 MB a thread

  /// Forgets what there is and keeps the next `calls` calls; 0 ends recording and frees the memory.
  void start(std::int64_t calls, int threads) {
    if (calls < 0 || calls > kMost) throw std::invalid_argument("a trace keeps at most 262144 calls");
    const std::size_t size = static_cast<std::size_t>(calls), lanes = calls == 0 ? 0 : static_cast<std::size_t>(threads);
    calls_ = std::vector<Kept>(size);
    lanes_ = std::vector<Lane>(lanes);
    for (Lane& lane : lanes_) lane.spans.resize(size);
  }
  bool on() const { return !lanes_.empty(); }

  void add(int thread, const TracedCall& call, const Span& span) {
    Lane& lane = lanes_[static_cast<std::size_t>(thread)];
    const std::size_t index = lane.seen++;
    if (index >= calls_.size()) return;
    lane.spans[index] = span;
    if (thread != 0) return;
    Kept& kept = calls_[index];
    kept.kernel = call.kernel;
    kept.phase = call.phase;
    std::copy_n(call.tensors, call.kernel->operands, kept.tensors);
  }

  std::size_t threads() const { return lanes_.size(); }
  /// Calls kept, and calls that found no room.
  std::size_t size() const { return lanes_.empty() ? 0 : std::min(lanes_[0].seen, calls_.size()); }
  std::size_t dropped() const { return lanes_.empty() ? 0 : lanes_[0].seen - size(); }
  const Kept& call(std::size_t index) const { return calls_[index]; }
  const Span& span(std::size_t thread, std::size_t index) const { return lanes_[thread].spans[index]; }

 private:
  struct alignas(64) Lane {
    std::size_t seen = 0;
    std::vector<Span> spans;
  };
  std::vector<Kept> calls_;
  std::vector<Lane> lanes_;
};

}  // namespace pacac
