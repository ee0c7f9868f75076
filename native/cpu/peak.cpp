// Measures what this machine can do at most: float32 multiply-adds, products of bf16 pairs where the instruction set has them, and
// reading of memory, all threads at once.
//
// Built for one instruction set, run with the number of threads; prints "flops_per_second bytes_per_second pairs_flops_per_second".
// Peaks are the best of several short rounds: other processes can only make a round slower.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "cpu/tile_registers.hpp"
#include "runtime/tile_permission.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using pacac::Vec;

constexpr int kRounds = 5;
constexpr int kChains = 12;  // independent sums: two units with a latency of up to five cycles stay busy
constexpr double kRoundSeconds = 0.03;
constexpr std::size_t kTotalBytes = std::size_t{256} << 20;  // several times a last-level cache

/// Keeps a value alive without storing it anywhere slow.
std::atomic<float> sink{0};

/// Flops of one thread until `end`.
double multiply_adds(Clock::time_point end) {
  Vec sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = pacac::broadcast(1.0f + static_cast<float>(c));
  Vec factor = pacac::broadcast(0.999f), offset = pacac::broadcast(0.001f);
  double flops = 0;
  while (Clock::now() < end) {
    for (int i = 0; i < 2000; ++i) {
      for (int c = 0; c < kChains; ++c) sums[c] = pacac::fma(sums[c], factor, offset);
    }
    flops += 2.0 * 2000 * kChains * Vec::lanes;
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += pacac::sum(sums[c]);
  sink.store(total, std::memory_order_relaxed);
  return flops;
}

/// Flops on pairs of bf16 of one thread until `end`; 0 where the instruction set multiplies none.
double pair_products([[maybe_unused]] Clock::time_point end) {
  double flops = 0;
#if defined(PACAC_ISA_AMX_BF16)
  if (!pacac::allow_tiles()) return 0;
  const pacac::TileRegisters registers;
  alignas(64) float tiles[16 * 16] = {}, sums[3 * 16 * 16];
  while (Clock::now() < end) {
    for (int i = 0; i < 20; ++i) {
      pacac::multiply_tiles<1, 3>({{tiles, 16, 0, 32}, {}}, tiles, 0, sums, 48);
    }
    flops += 20.0 * 32 * 3 * (2 * 16 * 16 * 32);
  }
  sink.store(sums[0], std::memory_order_relaxed);
#elif defined(PACAC_DOT_BF16)
  Vec sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = pacac::zero();
  const Vec pairs = pacac::join_pairs(pacac::broadcast(0.5f), pacac::broadcast(0.5f));
  while (Clock::now() < end) {
    for (int i = 0; i < 2000; ++i) {
      for (int c = 0; c < kChains; ++c) sums[c] = pacac::dot_pairs(sums[c], pairs, pairs);
    }
    flops += 4.0 * 2000 * kChains * Vec::lanes;
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += pacac::sum(sums[c]);
  sink.store(total, std::memory_order_relaxed);
#endif
  return flops;
}

/// Bytes that one thread reads of its own buffer until `end`.
double reads(const std::vector<float>& buffer, Clock::time_point end) {
  constexpr std::size_t kBlock = 1 << 16;
  double bytes = 0;
  Vec sums[4] = {pacac::zero(), pacac::zero(), pacac::zero(), pacac::zero()};
  for (std::size_t at = 0; Clock::now() < end; at = at + 2 * kBlock > buffer.size() ? 0 : at + kBlock) {
    for (std::size_t i = at; i < at + kBlock; i += 4 * Vec::lanes) {
      for (int c = 0; c < 4; ++c) sums[c] = sums[c] + pacac::load(&buffer[i + static_cast<std::size_t>(c * Vec::lanes)]);
    }
    bytes += kBlock * sizeof(float);
  }
  sink.store(pacac::sum(sums[0] + sums[1] + sums[2] + sums[3]), std::memory_order_relaxed);
  return bytes;
}

/// The best rate of several rounds in which all threads work until the same moment.
template <class Work>
double best_rate(int threads, const Work& work) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> amounts(static_cast<std::size_t>(threads));
    std::vector<std::thread> running;
    const Clock::time_point begin = Clock::now();
    const auto length = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kRoundSeconds));
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&, i] { amounts[static_cast<std::size_t>(i)] = work(i, begin + length); });
    }
    for (std::thread& thread : running) thread.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    double total = 0;
    for (const double amount : amounts) total += amount;
    best = std::max(best, total / seconds);
  }
  return best;
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::clamp(std::atoi(arguments[1]), 1, 1024) : 1;
  const double flops = best_rate(threads, [](int, Clock::time_point end) { return multiply_adds(end); });
  std::vector<std::vector<float>> buffers(static_cast<std::size_t>(threads));
  for (std::vector<float>& buffer : buffers) {
    buffer.assign(std::max(kTotalBytes / static_cast<std::size_t>(threads) / sizeof(float), std::size_t{1} << 18), 1.0f);
  }
  const double bytes = best_rate(threads, [&](int thread, Clock::time_point end) {
    return reads(buffers[static_cast<std::size_t>(thread)], end);
  });
  const double pairs = best_rate(threads, [](int, Clock::time_point end) { return pair_products(end); });
  std::printf("%.6g %.6g %.6g\n", flops, bytes, pairs);
  return 0;
}
