// Counts heap allocations of steps, to hold the promise that there are none.
//
// allocations.cpp replaces operator new within this addon alone (its symbols are hidden). Only threads that run a
// step are counted: Node's own thread goes on allocating meanwhile.
#pragma once
#include <atomic>
#include <cstdint>

namespace pacac {

/// While one lives, the thread's allocations count.
class Counted {
 public:
  Counted() { ++depth; }
  ~Counted() { --depth; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  /// Called by operator new.
  static void note() {
    if (depth > 0) count.fetch_add(1, std::memory_order_relaxed);
  }
  /// All counted so far.
  static std::int64_t total() { return count.load(std::memory_order_relaxed); }

 private:
  static inline thread_local int depth = 0;
  static inline std::atomic<std::int64_t> count{0};
};

}  // namespace pacac
