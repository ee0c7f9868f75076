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

/// The units of work that a thread has left: it takes them from the front, threads that have nothing left from the back.
class alignas(64) Queue {
 public:
  void fill(std::uint32_t count) { left_.store(count, std::memory_order_release); }

  /// A unit, or -1 where none is left.
  std::int64_t front() {
    return take([](std::uint64_t left) { return left + kFirst; }, [](std::uint64_t left) { return left >> 32; });
  }
  std::int64_t back() {
    return take([](std::uint64_t left) { return left - 1; }, [](std::uint64_t left) { return (left & (kFirst - 1)) - 1; });
  }

 private:
  static constexpr std::uint64_t kFirst = std::uint64_t{1} << 32;

  template <class Next, class Unit>
  std::int64_t take(const Next& next, const Unit& unit) {
    std::uint64_t left = left_.load(std::memory_order_acquire);
    while ((left >> 32) < (left & (kFirst - 1))) {
      if (left_.compare_exchange_weak(left, next(left), std::memory_order_acq_rel)) return static_cast<std::int64_t>(unit(left));
    }
    return -1;
  }

  std::atomic<std::uint64_t> left_{0};  // first << 32 | end
};

/// What one thread of a kernel's region knows.
struct Worker {
  int thread;          ///< 0 … threads-1
  int threads;         ///< threads in this region
  std::byte* scratch;  ///< workspace of this thread, 64-byte aligned, contents undefined
  std::byte* shared;   ///< workspace of all threads of this call, 64-byte aligned, contents undefined
  Barrier* barrier;    ///< all threads or none must call wait()
  Queue* queues = nullptr;  ///< one a thread, all empty between regions; none: nobody helps anybody

  /// The half-open range of [0, n) that belongs to this thread, cut at multiples of `grain`.
  struct Range {
    std::int64_t begin, end;
  };
  Range share(std::int64_t n, std::int64_t grain = 1) const {
    const std::int64_t blocks = (n + grain - 1) / grain;
    const std::int64_t begin = blocks * thread / threads * grain, end = blocks * (thread + 1) / threads * grain;
    return {begin < n ? begin : n, end < n ? end : n};
  }

  /// Calls body(owner, unit) for this thread's units 0 … count-1, in order, then for what threads that lag behind have left,
  /// so that a region ends when the work does, however unequal the processors are. Where a unit is computed must not
  /// change its bits. All threads must meet before the next use, which the end of a kernel is, too.
  template <class Body>
  void each_unit(std::int64_t count, const Body& body) const {
    if (queues == nullptr) {
      for (std::int64_t unit = 0; unit < count; ++unit) body(thread, unit);
      return;
    }
    Queue& own = queues[thread];
    own.fill(static_cast<std::uint32_t>(count));
    for (std::int64_t unit = own.front(); unit >= 0; unit = own.front()) body(thread, unit);
    for (int next = 1; next < threads; ++next) {
      const int other = (thread + next) % threads;
      for (std::int64_t unit = queues[other].back(); unit >= 0; unit = queues[other].back()) body(other, unit);
    }
  }
};

/// A generated kernel: operand pointers in the order of its header, one call a thread.
using Kernel = void (*)(void* const* operand, const Worker& worker);

}  // namespace pacac
