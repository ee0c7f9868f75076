// Runs a generated program on a GPU: the same face as runtime/engine.hpp, so that the addon and everything above are shared.
//
// Memory is one allocation of a size that the plan knows. A step is captured once as a CUDA graph and replayed: inputs go
// through pinned memory, the next micro-batch's on a stream of its own while the one before is computed; loss and norm come
// back in the same graph. With `poison` nothing is captured and every kernel is waited for, so that a fault names its kernel.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/runtime/device.hpp"
#include "cuda/runtime/memory.hpp"
#include "cuda/runtime/staging.hpp"
#include "cuda/runtime/timeline.hpp"
#include "runtime/allocations.hpp"
#include "runtime/batch.hpp"
#include "runtime/profile.hpp"
#include "runtime/program.hpp"
#include "runtime/trace.hpp"
#include "runtime/usage.hpp"
#include "runtime/weights.hpp"

namespace pacac {

class Engine {
 public:
  /// @param threads 1: the device does the work
  /// @param poison fills memory that kernels must write before reading with NaN, and runs kernels one by one
  /// @throws std::runtime_error "no CUDA device", "the device is too small", or what CUDA says
  Engine(const Program& program, int threads, bool pin, bool poison);
  ~Engine();

  const Program& program() const { return program_; }
  /// The tensor's description. @throws std::out_of_range
  const TensorEntry& tensor(std::int64_t index) const;

  /// Gives a tensor its values from a file.
  void load(std::int64_t index, const std::string& file, std::int64_t offset, FileType type);
  /// Copies float values into a tensor, rounding to bf16 where that is its type.
  void write(std::int64_t index, const float* values, std::size_t count);
  void write(std::int64_t index, const std::int32_t* values, std::size_t count);
  /// Copies a tensor out; `out` has room for its elements, 4 bytes each.
  void read(std::int64_t index, void* out);

  /// Forward alone.
  StepResult forward(const Batch& batch);
  /// Forward and backward of all micro-batches; the losses add up to their mean over supervised tokens.
  StepResult gradients(const std::vector<Batch>& batches);
  /// Gradients, then the optimiser.
  StepResult step(const std::vector<Batch>& batches, const StepSettings& settings);

  /// How many rows one call of logits() takes, and how many values a row has.
  std::int64_t logits_rows() const;
  std::int64_t logits_width() const;
  /// Logits of positions of the last forward: `out` [rows, width].
  void logits(const std::vector<std::int32_t>& rows, float* out);

  /// Programs for a GPU train only. @throws std::invalid_argument
  void write_text(PhaseIndex index);

  Memory memory() const;
  int threads() const { return 1; }
  /// Times of the steps that were timed: the second of a kind, and those of a trace.
  const Profile& profile() const { return profile_; }
  const Trace& trace() const { return trace_; }
  /// Keeps the times of the next `calls` kernel calls; 0: no more. @throws std::invalid_argument where that is too many
  void record(std::int64_t calls);

  const cuda::Device& device() const { return device_; }
  /// The last walk's time on the device, from its first copy to its last, in seconds.
  double last_seconds() const;

 private:
  friend class Run;

  /// What a walk of the schedule is: walks of one shape are one graph.
  struct Shape {
    std::size_t count;
    bool backward, update, timed;
    bool operator==(const Shape&) const = default;
  };
  /// A captured walk.
  struct Captured {
    Shape shape;
    cuda::GraphExec graph;
    std::unique_ptr<cuda::Timeline> timeline;
  };

  StepResult walk(const Batch* batches, std::size_t count, bool backward, const StepSettings* settings);
  void fill(const Batch* batches, std::size_t count);
  void fill(const StepSettings& settings);
  void run(const Shape& shape);
  Captured& captured(const Shape& shape);
  void enqueue(const Shape& shape, cuda::Timeline* timeline, bool capturing);
  void enqueue_inputs(std::size_t index);
  void walk_phase(PhaseIndex index, cuda::Timeline* timeline, bool capturing);
  void call(const KernelEntry& kernel, const std::int32_t* tensors, const Run& run);
  void reserve(std::size_t count);
  void check_loaded() const;
  void require(const std::vector<Batch>& batches) const;
  bool timed(Shape shape);
  void zero_start(bool poison);

  std::byte* at(std::int32_t row) const {
    return static_cast<std::byte*>(memory_.get()) + layout_.tensors[static_cast<std::size_t>(row)];
  }
  std::byte* slot(std::size_t index) const {
    return static_cast<std::byte*>(memory_.get()) + layout_.slots +
           static_cast<std::int64_t>(index % 2) * layout_.slot_bytes;
  }

  const Program& program_;
  const bool one_by_one_;  ///< every kernel is waited for
  cuda::Device device_;
  cuda::Layout layout_;
  cuda::DeviceMemory memory_;
  cuda::Stream compute_, copies_;
  cuda::Event began_, ready_[2], consumed_[2], first_, last_;
  cuda::Staging staging_;
  cuda::PinnedMemory pinned_;        ///< `capacity_` slots of inputs, as many losses, hyper, norm
  std::size_t capacity_ = 0;
  std::vector<bool> loaded_;         ///< by row
  std::vector<Captured> graphs_;
  std::vector<std::pair<Shape, int>> seen_;  ///< walks of each shape so far
  cuda::Timeline loose_;             ///< of walks that are not captured
  cuda::Timeline* timeline_ = nullptr;
  bool capturing_ = false;
  Profile profile_;
  Usage usage_;
  Trace trace_;
};

}  // namespace pacac
