// Measures what the thread pool costs: a region between two kernels (one barrier), and a hand-over from the caller.
//
// Run with the number of threads; prints a line for each situation: its name, nanoseconds of a region (the median of rounds,
// and the 90th percentile), microseconds of a hand-over (the median). `busy`: as many other threads compute without pause.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "runtime/pool.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 41, kRegions = 2000;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double at(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

void regions(void* context, int) {
  pacac::Barrier* const barrier = static_cast<pacac::Barrier*>(context);
  for (int i = 0; i < kRegions; ++i) barrier->wait();
}

void print(const char* name, int threads, bool pin) {
  pacac::Pool pool(threads, pin);
  std::vector<double> inside, around;
  const Clock::time_point begin = Clock::now();
  for (int round = 0; round < kRounds && (round < 5 || seconds_since(begin) < 4); ++round) {
    Clock::time_point start = Clock::now();
    pool.run(regions, pool.barrier());
    inside.push_back(seconds_since(start) / kRegions * 1e9);
    start = Clock::now();
    pool.run([](void*, int) {}, nullptr);
    around.push_back(seconds_since(start) * 1e6);
  }
  std::printf("%s %d %.0f %.0f %.1f\n", name, threads, at(inside, 0.5), at(inside, 0.9), at(around, 0.5));
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::clamp(std::atoi(arguments[1]), 1, 1024) : 2;
  print("free", threads, false);
  print("pinned", threads, true);
  print("crowded", 2 * threads, false);
  std::atomic<bool> stop{false};
  std::vector<std::thread> rivals;
  for (int i = 0; i < threads; ++i) {
    rivals.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  print("busy", threads, false);
  stop.store(true);
  for (std::thread& rival : rivals) rival.join();
  return 0;
}
