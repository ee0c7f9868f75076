// The threads that walk a schedule together.
//
// Every thread runs a whole step and meets the others after each kernel, so a kernel costs one barrier and no hand-over of
// work. Threads are the pool's own, also the first one: the caller may be a different thread of Node's each time, and
// caches and pinning should not follow it. How work is divided is fixed by the number of threads alone; where it is divided into parts
// (Worker::in_parts), threads take them as they get to them, and what a part computes does not depend on who takes it. So results
// have the same bits in every run with the same number of threads. `deno task bench --pool` prints what this costs.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

#include "runtime/gate.hpp"
#include "runtime/kernel.hpp"

namespace pacac {

/// The processors that this process may run on; empty where the system does not say.
inline std::vector<int> allowed_processors() {
  std::vector<int> found;
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return found;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) found.push_back(i);
  }
#endif
  return found;
}

/// A barrier whose last arrival opens a gate for the others. Kernels end almost together: it spins for some 30 us at most.
class SpinBarrier final : public Barrier {
 public:
  /// @param spins see Gate
  SpinBarrier(int threads, int spins) : threads_(threads), gate_(spins) {}

  void wait() override {
    if (threads_ == 1) return;
    const std::uint32_t round = gate_.now();
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < threads_) return gate_.wait(round);
    // The last one: nobody touches `arrived_` again before the gate opens.
    arrived_.store(0, std::memory_order_relaxed);
    gate_.open();
  }

 private:
  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  Gate gate_;
};

/// Threads 0 … n-1, waiting between regions.
class Pool {
 public:
  /// What every thread of a region runs.
  using Body = void (*)(void* context, int thread);

  /// @param threads how many, at least 1
  /// @param pin whether thread i stays on the i-th processor that the process may use
  Pool(int threads, bool pin) : Pool(threads, pin, allowed_processors()) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { stop(); }

  int threads() const { return static_cast<int>(threads_.size()); }
  Barrier* barrier() { return &barrier_; }

  /// Runs `body` on every thread and waits for all. One caller at a time.
  void run(Body body, void* context) {
    const std::uint32_t before = done_.now();
    body_ = body;
    context_ = context;
    running_.store(threads(), std::memory_order_relaxed);
    start_.open();
    done_.wait(before);
  }

 private:
  static constexpr int kSpins = 1000;

  Pool(int threads, bool pin, const std::vector<int>& processors)
      : barrier_(threads, spins(threads, processors)), start_(spins(threads, processors)) {
    const std::size_t count = static_cast<std::size_t>(threads);
    const bool fits = pin && processors.size() >= count;
    threads_.reserve(count);
    try {
      for (int i = 0; i < threads; ++i) {
        threads_.emplace_back([this, i] { serve(i); });
        if (fits) pin_to(threads_.back(), processors[static_cast<std::size_t>(i)]);
      }
    } catch (...) {  // the system gives no more threads: end those that run, or their destructors abort
      stop();
      throw;
    }
  }

  /// More threads than processors: whoever spins keeps the one that all wait for from running.
  static int spins(int threads, const std::vector<int>& processors) {
    const bool crowded = !processors.empty() && processors.size() < static_cast<std::size_t>(threads);
    return crowded ? 0 : kSpins;
  }

  void serve(int thread) {
    for (std::uint32_t seen = 0;;) {
      start_.wait(seen);
      ++seen;  // a region starts only after all threads have finished the one before
      if (stopping_.load(std::memory_order_relaxed)) return;
      body_(context_, thread);
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.open();
    }
  }

  void stop() {
    stopping_.store(true, std::memory_order_relaxed);
    start_.open();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  static void pin_to([[maybe_unused]] std::thread& thread, [[maybe_unused]] int processor) {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);  // a wish: failing is no harm
#endif
  }

  SpinBarrier barrier_;
  Gate start_;
  Gate done_{0};  // the caller waits for a whole step: spinning, it would take a processor from a thread that works
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace pacac
