// Hammers the thread pool: barriers inside a region and many short regions, with delays that differ between threads.
// Prints a hash of what was computed; a lost wake-up hangs, a barrier let through early changes the hash.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "runtime/pool.hpp"

namespace {

constexpr int kCells = 64;

struct Job {
  pacac::Barrier* barrier;
  int threads;
  int rounds;
  std::vector<std::uint32_t> from, to;
};

/// Each round every cell becomes a mix of itself and its neighbours: any thread that runs ahead is seen.
void body(void* context, int thread) {
  Job& job = *static_cast<Job*>(context);
  std::uint32_t noise = static_cast<std::uint32_t>(thread) * 2654435761u + 1;
  for (int round = 0; round < job.rounds; ++round) {
    std::vector<std::uint32_t>& from = round % 2 == 0 ? job.from : job.to;
    std::vector<std::uint32_t>& to = round % 2 == 0 ? job.to : job.from;
    for (int i = thread; i < kCells; i += job.threads) {
      const auto at = [&](int j) { return from[static_cast<std::size_t>((j + kCells) % kCells)]; };
      to[static_cast<std::size_t>(i)] = at(i) * 1664525u + (at(i - 1) ^ (at(i + 1) >> 3)) + 1013904223u;
    }
    noise = noise * 1664525u + 1013904223u;
    if (noise >> 26 == 0) std::this_thread::sleep_for(std::chrono::microseconds(noise >> 8 & 511));
    job.barrier->wait();
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 2;
  const bool pin = count > 2;
  pacac::Pool pool(threads, pin);
  Job job{pool.barrier(), threads, 200, std::vector<std::uint32_t>(kCells, 1), std::vector<std::uint32_t>(kCells)};
  for (int region = 0; region < 20; ++region) pool.run(body, &job);
  job.rounds = 0;
  for (int region = 0; region < 500; ++region) pool.run(body, &job);
  std::uint32_t hash = 2166136261u;
  for (const std::uint32_t cell : job.from) hash = (hash ^ cell) * 16777619u;
  std::printf("%08x\n", hash);
  return 0;
}
