// Shares that follow the threads' speed (native/runtime/balance.hpp). Prints what is wrong; exits with 1 where something is. Built and run
// by balance_test.ts.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/balance.hpp"

using namespace pacac;

namespace {

constexpr KernelEntry kMany{0, "many", nullptr, 0, 1e9, 1e6}, kOnce{1, "once", nullptr, 0, 1e9, 1e6}, kMemory{2, "memory", nullptr, 0, 1e6, 1e6};
constexpr Moment kMillisecond = 1'000'000;

int wrong = 0;
void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("%s\n", what);
  wrong++;
}

Program program() {
  Program program{};
  program.kernel_count = 3;
  return program;
}

/// Threads that work at given speeds, and what they learn of it.
class Team {
 public:
  Team(int threads, bool uneven = false) : threads_(threads), program_(program()), balance_(program_, threads, uneven) {}

  const double* bounds(int thread, const KernelEntry& kernel) { return balance_.bounds(thread, kernel); }
  double share(const KernelEntry& kernel, int thread) {
    const double* const at = bounds(0, kernel);
    return at == nullptr ? 1.0 / threads_ : at[thread + 1] - at[thread];
  }

  /// A call of a kernel that takes one thread of speed 1 `whole` ns.
  void call(const KernelEntry& kernel, const double* speeds, double whole = 2e6) {
    Moment end[8];
    for (int t = 0; t < threads_; ++t) {
      end[t] = at_ + static_cast<Moment>(whole * share(kernel, t) / speeds[t]);
      balance_.worked(t, region_, at_, end[t]);
    }
    for (int t = 0; t < threads_; ++t) balance_.learn(t, kernel, region_, bounds(t, kernel));
    for (int t = 0; t < threads_; ++t) at_ = std::max(at_, end[t]);
    region_++;
    check(kernel);
  }
  void pause(Moment time) { at_ += time; }

 private:
  /// All threads know the same, and shares cover the work.
  void check(const KernelEntry& kernel) {
    const double* const first = bounds(0, kernel);
    for (int t = 1; t < threads_; ++t) {
      const double* const other = bounds(t, kernel);
      const std::size_t bytes = sizeof(double) * static_cast<std::size_t>(threads_ + 1);
      expect((first == nullptr) == (other == nullptr) && (first == nullptr || std::memcmp(first, other, bytes) == 0), "threads disagree");
    }
    if (first == nullptr) return;
    expect(first[0] == 0 && first[threads_] == 1, "shares do not cover the work");
    for (int t = 0; t < threads_; ++t) expect(first[t + 1] - first[t] > 0.2 / threads_, "a share is lost");
  }

  const int threads_;
  const Program program_;
  Balance balance_;
  Moment at_ = kMillisecond;
  std::int64_t region_ = 0;
};

bool near(double x, double y) { return std::abs(x - y) < 1e-3; }

void follows() {
  Team team(3);
  expect(team.bounds(0, kMany) == nullptr, "shares differ before anything is known");
  const double equal[] = {1, 1, 1}, third[] = {1, 1, 0.5}, stopped[] = {1, 1, 1e-3};
  for (int i = 0; i < 40; ++i) team.call(kMany, third);
  expect(near(team.share(kMany, 0), 0.4) && near(team.share(kMany, 2), 0.2), "shares do not follow a slower thread");
  for (int i = 0; i < 40; ++i) team.call(kMany, equal);
  expect(near(team.share(kMany, 2), 1.0 / 3), "shares do not follow a thread that is fast again");
  for (int i = 0; i < 4; ++i) team.call(kMany, stopped, 2e4);
  for (int i = 0; i < 40; ++i) team.call(kMany, equal);
  expect(near(team.share(kMany, 2), 1.0 / 3), "a thread that stood still is lost");
}

void forgets() {
  Team team(2);
  const double half[] = {1, 0.5};
  for (int i = 0; i < 40; ++i) team.call(kMany, half), team.call(kMemory, half);
  expect(near(team.share(kOnce, 1), 1.0 / 3), "a kernel bound by arithmetic does not take the shares of another");
  expect(near(team.share(kMemory, 1), 1.0 / 3), "a kernel bound by memory has no shares of its own");
  team.pause(300 * kMillisecond);
  const double equal[] = {1, 1};
  team.call(kMemory, equal, 100);
  expect(team.bounds(0, kMany) == nullptr && team.bounds(0, kOnce) == nullptr, "old shares are not forgotten");
  for (int i = 0; i < 40; ++i) team.call(kMany, half, 5e3);
  expect(team.bounds(0, kMany) == nullptr, "something was learned of calls too short to tell");
}

/// Any bounds cut any work into neighbouring ranges of whole grains.
void covers() {
  for (int i = 0; i < 2000; ++i) {
    const int threads = 1 + std::rand() % 9;
    const std::int64_t n = std::rand() % 300, grain = 1 + std::rand() % 40;
    double bounds[16] = {};
    for (int t = 1; t <= threads; ++t) bounds[t] = bounds[t - 1] + std::rand() % 100;
    const double all = bounds[threads] > 0 ? bounds[threads] : 1;
    for (int t = 1; t < threads; ++t) bounds[t] /= all;
    bounds[threads] = 1;
    std::int64_t before = 0;
    for (int t = 0; t < threads; ++t) {
      const auto [begin, end] = Worker{t, threads, nullptr, nullptr, nullptr, nullptr, bounds}.share(n, grain);
      expect(begin == before && end >= begin && (end % grain == 0 || end == n), "ranges do not join");
      before = end;
    }
    expect(before == n, "work is left over");
  }
}

}  // namespace

int main() {
  follows();
  forgets();
  covers();
  Team uneven(2, true);
  expect(near(uneven.share(kMemory, 0), 1.0 / 3), "shares that are to differ do not");
  expect(Team(1).bounds(0, kMany) == nullptr, "a single thread has shares");
  return wrong > 0;
}
