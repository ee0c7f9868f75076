// Regions in parts on real threads: each part is taken once, and while a thread is held up the others take what is left. Prints what is
// wrong; exits with 1 where something is. Built and run by parts_test.ts.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "runtime/parts.hpp"
#include "runtime/pool.hpp"

using namespace pacac;

namespace {

constexpr int kThreads = 3, kCount = 4, kParts = kCount * kThreads, kRegions = 501, kWalks = 3;

struct Walk {
  PartCounters parts;
  Barrier* barrier;
  std::atomic<int> taken[kRegions][kParts] = {};
  std::atomic<int> strange = 0, stuck = 0;

  int all_taken(int region) const {
    int sum = 0;
    for (const std::atomic<int>& part : taken[region]) sum += part;
    return sum;
  }
};

/// Thread 0 stays in its first part of every tenth region until all others were taken.
void hold_up(Walk& shared, int region) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  while (shared.all_taken(region) < kParts) {
    if (Clock::now() - begin > std::chrono::seconds(60)) {
      shared.stuck++;
      return;
    }
    std::this_thread::yield();
  }
}

void walk(void* context, int thread) {
  Walk& shared = *static_cast<Walk*>(context);
  for (int region = 0; region < kRegions; region++) {
    const Worker worker{thread, kThreads, nullptr, nullptr, shared.barrier, shared.parts.of(region, thread)};
    worker.in_parts<kCount>([&](const Worker& part) {
      if (part.threads != kParts || part.barrier != nullptr) shared.strange++;
      shared.taken[region][part.thread]++;
      if (region % 10 == 0 && thread == 0) hold_up(shared, region);
    });
    shared.barrier->wait();
  }
}

}  // namespace

int main() {
  static Walk shared;
  Pool pool(kThreads, false);
  int wrong = 0;
  for (int i = 0; i < kWalks; i++) {
    for (auto& region : shared.taken) {
      for (std::atomic<int>& part : region) part = 0;
    }
    shared.barrier = pool.barrier();
    shared.parts.reset();
    pool.run(walk, &shared);
    for (const auto& region : shared.taken) {
      for (const std::atomic<int>& part : region) wrong += part != 1;
    }
  }
  if (wrong > 0) std::printf("%d parts were not taken once\n", wrong);
  if (shared.strange > 0) std::printf("%d workers were not of a part\n", shared.strange.load());
  if (shared.stuck > 0) std::printf("%d times others did not take what a thread left\n", shared.stuck.load());
  return wrong > 0 || shared.strange > 0 || shared.stuck > 0;
}
