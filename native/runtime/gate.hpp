// Waiting for another thread: spin, then sleep.
//
// A spin costs nothing where the other thread is about to arrive, and everything where it cannot run: another process, or
// more threads than processors, may hold its processor. So how long a gate spins follows from how its last waits went: a
// wait that spun in vain halves the next one's spin, one that was worth it makes the next longer again.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pacac {

/// Tells the processor that this is a waiting loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A number that moves on, and threads that wait for it to move.
class Gate {
 public:
  /// @param spins the longest spin, in pauses of 20 to 40 ns; 0 where a spin would keep the awaited thread from running
  explicit Gate(int spins) : most_(spins), spins_(spins) {}

  /// What wait() is to be given: read before the event that the caller waits for can happen.
  std::uint32_t now() const { return round_.load(std::memory_order_acquire); }

  /// Lets all waiting threads through. Writes before it are seen by them. One thread at a time.
  void open() {
    round_.store(round_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake();
  }

  /// Returns once the gate has opened since `seen`.
  void wait(std::uint32_t seen) {
    const int spins = spins_.load(std::memory_order_relaxed);
    for (int spin = 0; spin < spins; ++spin) {
      if (now() != seen) {
        if (spins < most_) spins_.store(std::min(most_, spins + spins / 8 + 1), std::memory_order_relaxed);
        return;
      }
      relax();
    }
    spins_.store(std::max(std::min(most_, kFewest), spins / 2), std::memory_order_relaxed);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (round_.load(std::memory_order_seq_cst) == seen) sleep(seen);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
#ifdef __linux__
  // The system's own call: std::atomic's wait yields a few times first, and a yield on a busy machine is another process's
  // whole turn of milliseconds, while a thread that slept is put first when it wakes.
  static_assert(sizeof(std::atomic<std::uint32_t>) == 4);
  void sleep(std::uint32_t seen) { syscall(SYS_futex, &round_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0); }
  void wake() { syscall(SYS_futex, &round_, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0); }
#else
  void sleep(std::uint32_t seen) { round_.wait(seen); }
  void wake() { round_.notify_all(); }
#endif

  static constexpr int kFewest = 30;  // about a microsecond: what threads on free processors need to meet
  const int most_;
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<int> spins_;
};

}  // namespace pacac
