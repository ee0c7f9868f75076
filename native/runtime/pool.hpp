// The threads that walk a schedule together.
//
// Every thread runs the whole phase and meets the others after each kernel, so a kernel costs one barrier and no
// hand-over of work. Threads are the pool's own, also the first one: the caller may be a different thread of Node's
// each time, and caches and pinning should not follow it. Which thread computes what is fixed by its number alone:
// results have the same bits in every run with the same number of threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

#include "runtime/kernel.hpp"

namespace pacac {

/// Tells the processor that this is a waiting loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A barrier that spins for some 30 microseconds (kernels end almost together), then gives its processor away, then
/// sleeps (another process may hold the processor of the thread that all wait for).
class SpinBarrier final : public Barrier {
 public:
  explicit SpinBarrier(int threads) : threads_(threads) {}

  void wait() override {
    if (threads_ == 1) return;
    const std::uint32_t round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      // The last one: nobody touches `arrived_` again before `round_` moves on.
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_seq_cst);
      if (sleepers_.load(std::memory_order_seq_cst) > 0) round_.notify_all();
      return;
    }
    for (int spin = 0; spin < kSpins; ++spin) {
      if (round_.load(std::memory_order_acquire) != round) return;
      relax();
    }
    for (int turn = 0; turn < kYields; ++turn) {
      if (round_.load(std::memory_order_acquire) != round) return;
      std::this_thread::yield();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (round_.load(std::memory_order_seq_cst) == round) round_.wait(round);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  static constexpr int kSpins = 1000;  // a pause is 20 to 40 ns on current processors
  static constexpr int kYields = 50;
  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<int> sleepers_{0};
};

/// Threads 0 … n-1, asleep between regions.
class Pool {
 public:
  /// What every thread of a region runs.
  using Body = void (*)(void* context, int thread);

  /// @param threads how many, at least 1
  /// @param pin whether thread i stays on the i-th processor that the process may use
  Pool(int threads, bool pin) : barrier_(threads) {
    const std::vector<int> processors = pin ? allowed_processors() : std::vector<int>{};
    const bool fits = processors.size() >= static_cast<std::size_t>(threads);
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
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { stop(); }

  int threads() const { return static_cast<int>(threads_.size()); }
  Barrier* barrier() { return &barrier_; }

  /// Runs `body` on every thread and waits for all. One caller at a time.
  void run(Body body, void* context) {
    std::unique_lock<std::mutex> lock(mutex_);
    body_ = body;
    context_ = context;
    running_ = threads();
    ++region_;
    start_.notify_all();
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void serve(int thread) {
    std::uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      start_.wait(lock, [&] { return stopping_ || region_ != seen; });
      if (stopping_) return;
      seen = region_;
      const Body body = body_;
      void* const context = context_;
      lock.unlock();
      body(context, thread);
      lock.lock();
      if (--running_ == 0) done_.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    start_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  static std::vector<int> allowed_processors() {
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

  static void pin_to([[maybe_unused]] std::thread& thread, [[maybe_unused]] int processor) {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);  // a wish: failing is no harm
#endif
  }

  SpinBarrier barrier_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  Body body_ = nullptr;
  void* context_ = nullptr;
  int running_ = 0;
  std::uint64_t region_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pacac
