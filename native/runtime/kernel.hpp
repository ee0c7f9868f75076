// What every generated kernel is called with, whatever the instruction set.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pacac {

/// A bfloat16 value: the upper half of a float32.
struct bf16 {
  std::uint16_t bits;
};

/// All threads of a region meet here; implemented by the thread pool (runtime/pool.hpp).
class Barrier {
 public:
  virtual void wait() = 0;

 protected:
  ~Barrier() = default;
};

/// What one thread of a kernel's region knows.
struct Worker {
  int thread;          ///< 0 … threads-1
  int threads;         ///< threads in this region
  std::byte* scratch;  ///< workspace of this thread, 64-byte aligned, contents undefined
  std::byte* shared;   ///< workspace of all threads of this call, 64-byte aligned, contents undefined
  Barrier* barrier;    ///< all threads or none must call wait()
  std::atomic<int>* next = nullptr;  ///< the first part that no thread has taken yet (in_parts)
  const double* bounds = nullptr;    ///< where the threads' shares of the work begin, and 1: threads + 1 of them (balance.hpp); none: equal

  /// The half-open range of [0, n) that belongs to this thread, cut at multiples of `grain`.
  struct Range {
    std::int64_t begin, end;
  };
  Range share(std::int64_t n, std::int64_t grain = 1) const {
    if (bounds != nullptr) return between(bounds[thread], bounds[thread + 1], n, grain);
    const std::int64_t blocks = (n + grain - 1) / grain;
    const std::int64_t begin = blocks * thread / threads * grain, end = blocks * (thread + 1) / threads * grain;
    return {begin < n ? begin : n, end < n ? end : n};
  }
  /// What of [0, n) lies between two fractions of it, cut at multiples of `grain`.
  static Range between(double from, double to, std::int64_t n, std::int64_t grain) {
    const double blocks = static_cast<double>((n + grain - 1) / grain);
    const std::int64_t begin = static_cast<std::int64_t>(from * blocks + 0.5) * grain;
    const std::int64_t end = static_cast<std::int64_t>(to * blocks + 0.5) * grain;
    return {begin < n ? begin : n, end < n ? end : n};
  }

  /// Cuts the region into `count` parts a thread and calls body(part), a Worker, for those that this thread gets to: one that is
  /// slowed down (a smaller core, another program beside it) takes fewer. What a part computes follows from its number, whoever
  /// takes it. Once in a region; a body may not wait for others.
  template <int count, class Body>
  void in_parts(const Body& body) const {
    if (count == 1 || threads == 1 || next == nullptr) return body(*this);
    const int parts = count * threads;
    for (int part; (part = next->fetch_add(1, std::memory_order_relaxed)) < parts;) {
      body(Worker{part, parts, scratch, shared, nullptr});
    }
  }
};

/// A generated kernel: operand pointers in the order of its header, one call a thread.
using Kernel = void (*)(void* const* operand, const Worker& worker);

}  // namespace pacac
