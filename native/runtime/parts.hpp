// Who takes which part of a region (Worker::in_parts): counters that threads share.
#pragma once
#include <atomic>
#include <cstdint>

namespace pacac {

/// The counters of regions 0, 1, 2 … of one walk, with a barrier behind each region.
class PartCounters {
 public:
  /// Before threads begin a walk.
  void reset() {
    for (Counter& counter : counters_) counter.next.store(0, std::memory_order_relaxed);
  }

  /// The counter of a region, at zero; every thread asks once. Thread 0 clears the next region's meanwhile: the region that used
  /// it before lies behind a barrier.
  std::atomic<int>* of(std::int64_t region, int thread) {
    if (thread == 0) counters_[(region + 1) % 2].next.store(0, std::memory_order_relaxed);
    return &counters_[region % 2].next;
  }

 private:
  struct alignas(64) Counter {
    std::atomic<int> next{0};
  };
  Counter counters_[2];
};

}  // namespace pacac
