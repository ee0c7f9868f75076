// What a generated program is, as data: the interface between generated schedules and the engine that runs them.
//
// A program never computes an address by itself. Its schedule names tensors by their row in `tensors`; the engine
// keeps one pointer a row (arena start + offset, or a mapped weight), so the same schedule runs wherever the arena
// and the weight files happen to lie.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "runtime/kernel.hpp"

namespace pacac {

enum class DType : std::uint8_t { f32, bf16, i32 };

/// Bytes of one element.
constexpr std::int64_t bytes_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

enum class Role : std::uint8_t {
  weight, parameter, gradient, moment, index, constant, input, output, activation, cache
};

/// A tensor of the program.
struct TensorEntry {
  const char* name;
  DType dtype;
  Role role;
  bool view;              ///< lies within another row's bytes
  std::int64_t elements;
  std::int64_t place;     ///< byte offset in the arena; of a weight: its slot
  std::int32_t limit;     ///< int32 values must lie in [0, limit) (labels may be negative too); 0: any
};

/// One launch of a __global__ function on a GPU. Its arguments are the call's operands, the workspace where there is one, the part.
struct Launch {
  void (*function)();         ///< its host side
  std::uint32_t grid[3];      ///< blocks
  std::uint32_t threads;      ///< of a block
  std::uint32_t shared;       ///< bytes of dynamic shared memory of a block
  std::int32_t part = kWhole; ///< where a kernel goes through its work in parts: which one

  static constexpr std::int32_t kWhole = -1;
};

/// A generated kernel and its place in the profile.
struct KernelEntry {
  std::int32_t index;     ///< row in the profile
  const char* name;
  Kernel run;             ///< what every thread calls; nullptr on a GPU
  std::int32_t operands;  ///< pointers that it takes
  double flops, bytes;    ///< work and traffic of one call, as the plan counts them
  bool workspace = false; ///< on a GPU: whether the shared scratch is an argument behind the operands
  const Launch* launches = nullptr;  ///< on a GPU: what a call launches, in order
  std::int32_t launch_count = 0;
};

/// The most operands that a kernel may take.
inline constexpr std::int32_t kMaxOperands = 32;

/// Phases in the order of a step; then those that write text.
enum class PhaseIndex : std::int32_t { forward, logits, backward, update, prefill, decode };

/// What a schedule calls kernels through, one object a thread (runtime/engine.hpp).
class Run {
 public:
  /// Runs a kernel on the tensors `at[0 … operands)`; all threads have finished it on return.
  void operator()(const KernelEntry& kernel, const std::int32_t* at);
  void operator()(const KernelEntry& kernel, std::initializer_list<std::int32_t> at) {
    (*this)(kernel, at.begin());
  }

 private:
  friend class Engine;
  class Engine* engine_ = nullptr;
  Worker worker_{};
  std::int64_t calls_ = 0;
  PhaseIndex phase_ = PhaseIndex::forward;
};

/// A phase of a step: every thread walks it, kernels divide the work.
using Phase = void (*)(Run& run);

/// Rows of the tensors that the engine itself reads and writes; -1: the program has none.
struct Wellknown {
  std::int32_t input_ids, labels, segment_ids, loss_scale, loss, hyper, norm, rows, logits;
};

/// A generated program.
struct Program {
  const char* name;
  const char* isa;  ///< instruction set of its kernels
  const TensorEntry* tensors;
  std::int32_t tensor_count;
  std::int32_t weight_count;
  const KernelEntry* const* kernels;
  std::int32_t kernel_count;
  std::int64_t arena_bytes;
  /// Scratch of thread i at offset + i * per_thread, `shared` bytes for all behind the last of `threads`.
  std::int64_t scratch_offset, scratch_per_thread, scratch_shared;
  std::int32_t threads;
  std::int32_t seq_len;
  double beta1, beta2;
  Wellknown at;
  Phase forward, logits, backward, update;
  Phase prefill = nullptr, decode = nullptr;
};

/// The one program that this addon was built from (generated program.cpp).
extern const Program program;

}  // namespace pacac
