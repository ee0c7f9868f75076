// How much of the arena a program has used: what it was given memory for and what it touched should be the same.
#pragma once
#include <algorithm>
#include <cstdint>

#include "runtime/program.hpp"

namespace pacac {

/// What the engine holds, in bytes.
struct Memory {
  std::int64_t arena_used = 0;       ///< end of the highest range that a kernel was given so far
  std::int64_t weights_copied = 0;   ///< converted copies of weights
  std::int64_t step_allocations = 0; ///< heap allocations made by steps so far
};

/// The end of the highest range that kernels were given so far; one thread writes it.
class Usage {
 public:
  explicit Usage(const Program& program) : program_(program) {}

  void add(const KernelEntry& kernel, const std::int32_t* tensors) {
    for (std::int32_t i = 0; i < kernel.operands; ++i) {
      const TensorEntry& entry = program_.tensors[tensors[i]];
      if (entry.role == Role::weight) continue;
      high_water_ = std::max(high_water_, entry.place + entry.elements * bytes_of(entry.dtype));
      const std::int64_t scratch = program_.threads * program_.scratch_per_thread + program_.scratch_shared;
      if (scratch > 0) high_water_ = std::max(high_water_, program_.scratch_offset + scratch);
    }
  }

  /// In lines of 64 bytes, as the plan counts.
  std::int64_t bytes() const { return std::min((high_water_ + 63) / 64 * 64, program_.arena_bytes); }

 private:
  const Program& program_;
  std::int64_t high_water_ = 0;
};

}  // namespace pacac
