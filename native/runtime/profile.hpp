// Where a step's time went, by kernel. Always on: two additions a call and thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/program.hpp"

namespace pacac {

/// All calls of a kernel so far.
struct ProfileEntry {
  const KernelEntry* kernel = nullptr;
  std::int64_t calls = 0;
  double seconds = 0;  ///< from thread 0's begin until all have finished
  double worked = 0;   ///< without the wait at the end, the mean of the threads
};

/// One row a kernel and thread; a thread writes its own rows alone, on cache lines of their own.
class Profile {
 public:
  Profile(const Program& program, int threads)
      : program_(program),
        threads_(threads),
        rows_((program.kernel_count + kLine - 1) / kLine * kLine),
        worked_(static_cast<std::size_t>(threads * rows_ + kLine)),
        elapsed_(static_cast<std::size_t>(program.kernel_count)),
        calls_(static_cast<std::size_t>(program.kernel_count)) {}

  void add(int thread, const KernelEntry& kernel, const Span& span) {
    const std::size_t index = static_cast<std::size_t>(kernel.index);
    worked_[static_cast<std::size_t>(thread * rows_) + index] += span.worked - span.begin;
    if (thread != 0) return;
    elapsed_[index] += span.end - span.begin;
    ++calls_[index];
  }

  /// In the order of the program's kernels.
  std::vector<ProfileEntry> read() const {
    std::vector<ProfileEntry> entries;
    for (std::int32_t i = 0; i < program_.kernel_count; ++i) {
      const std::size_t index = static_cast<std::size_t>(i);
      double worked = 0;
      for (int thread = 0; thread < threads_; ++thread) {
        worked += static_cast<double>(worked_[static_cast<std::size_t>(thread * rows_ + i)]);
      }
      entries.push_back({program_.kernels[i], calls_[index], static_cast<double>(elapsed_[index]) * 1e-9,
                         worked / threads_ * 1e-9});
    }
    return entries;
  }

 private:
  static constexpr std::int32_t kLine = 8;  // sums in a cache line
  const Program& program_;
  const int threads_;
  const std::int32_t rows_;
  std::vector<Moment> worked_, elapsed_;
  std::vector<std::int64_t> calls_;
};

}  // namespace pacac
