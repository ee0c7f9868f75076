// Runs a generated program: owns its memory and threads, fills its inputs, walks its phases.
//
// Everything is allocated when the engine is made; a step allocates nothing, which allocations.hpp counts.
// Faults of the caller are exceptions with a sentence; nothing here trusts a length, an id or a file.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/allocations.hpp"
#include "runtime/arena.hpp"
#include "runtime/pool.hpp"
#include "runtime/program.hpp"
#include "runtime/weights.hpp"

namespace pacac {

/// Token ids of one micro-batch, each [tokens].
struct Batch {
  std::vector<std::int32_t> input_ids, labels, segment_ids;
};

/// Settings of one optimiser step.
struct StepSettings {
  double learning_rate, weight_decay, max_grad_norm, step;
};

/// Loss and, after an update, the gradients' norm.
struct StepResult {
  double loss = 0, norm = 0;
};

/// Where a kernel's time went: all its calls so far, measured on thread 0 to the end of the slowest.
struct ProfileEntry {
  const char* name = nullptr;
  std::int64_t calls = 0;
  double seconds = 0;
};

/// What the engine holds, in bytes.
struct Memory {
  std::int64_t arena_used = 0;       ///< end of the highest range that a kernel was given so far
  std::int64_t weights_copied = 0;   ///< converted copies of weights
  std::int64_t step_allocations = 0; ///< heap allocations made by steps so far
};

class Engine {
 public:
  /// @param poison fills memory that kernels must write before reading with NaN
  Engine(const Program& program, int threads, bool pin, bool poison)
      : program_(program),
        pool_(checked_threads(program, threads), pin),
        arena_(program.arena_bytes),
        weights_(static_cast<std::size_t>(program.weight_count)),
        pointers_(static_cast<std::size_t>(program.tensor_count)),
        profile_(static_cast<std::size_t>(program.kernel_count)) {
    for (std::int32_t i = 0; i < program.tensor_count; ++i) {
      const TensorEntry& entry = program.tensors[i];
      if (entry.role != Role::weight) pointers_[at(i)] = arena_.data() + entry.place;
    }
    for (std::int32_t i = 0; i < program.kernel_count; ++i) {
      const KernelEntry& kernel = *program.kernels[i];
      if (kernel.operands > kMaxOperands) throw std::logic_error("a kernel has too many operands");
      profile_[at(i)].name = kernel.name;
    }
    if (poison) this->poison();
  }

  const Program& program() const { return program_; }

  /// The tensor's description. @throws std::out_of_range
  const TensorEntry& tensor(std::int64_t index) const {
    if (index < 0 || index >= program_.tensor_count) throw std::out_of_range("no such tensor");
    return program_.tensors[index];
  }

  /// Gives a tensor its values from a file.
  void load(std::int64_t index, const std::string& file, std::int64_t offset, FileType type) {
    const TensorEntry& entry = tensor(index);
    if (entry.dtype == DType::i32) fail(entry, "holds integers, a file of floats does not fit");
    if (entry.role == Role::weight) {
      Weight weight(file, offset, type, entry);
      pointers_[at(index)] = weight.data();
      weights_[at(entry.place)] = std::move(weight);
    } else {
      const FileRange range(file, offset, entry.elements * bytes_of(type));
      convert(range.data(), type, entry.elements, entry.dtype, pointers_[at(index)]);
    }
  }

  /// Copies float values into a tensor, rounding to bf16 where that is its type.
  void write(std::int64_t index, const float* values, std::size_t count) {
    const TensorEntry& entry = tensor(index);
    if (entry.dtype == DType::i32) fail(entry, "holds integers, not floats");
    check_count(entry, count);
    convert(reinterpret_cast<const std::byte*>(values), FileType::f32, entry.elements, entry.dtype,
            writable(index));
  }
  void write(std::int64_t index, const std::int32_t* values, std::size_t count) {
    const TensorEntry& entry = tensor(index);
    if (entry.dtype != DType::i32) fail(entry, "holds floats, not integers");
    check_count(entry, count);
    check_values(entry, values, 0);
    std::memcpy(writable(index), values, 4 * count);
  }

  /// Copies a tensor out; `out` has room for its elements, 4 bytes each.
  void read(std::int64_t index, void* out) const {
    const TensorEntry& entry = tensor(index);
    const std::byte* const from = pointers_[at(index)];
    if (from == nullptr) fail(entry, "was never loaded");
    const FileType type = entry.dtype == DType::bf16 ? FileType::bf16 : FileType::f32;
    convert(from, type, entry.elements, DType::f32, out);  // int32 travels as its 4 bytes
  }

  /// Forward alone.
  StepResult forward(const Batch& batch) {
    check_batch(batch);
    const Counted counted;
    return {run_forward(batch, scale_of(&batch, 1)), 0};
  }

  /// Forward and backward of all micro-batches; the losses add up to their mean over supervised tokens.
  StepResult gradients(const std::vector<Batch>& batches) {
    if (batches.empty()) throw std::invalid_argument("there is no batch");
    if (program_.backward == nullptr) throw std::invalid_argument("the program has no backward phase");
    for (const Batch& batch : batches) check_batch(batch);
    const Counted counted;
    zero_gradients();
    const float scale = scale_of(batches.data(), batches.size());
    StepResult result;
    for (const Batch& batch : batches) {
      result.loss += run_forward(batch, scale);
      run_phase(program_.backward);
    }
    return result;
  }

  /// Gradients, then the optimiser.
  StepResult step(const std::vector<Batch>& batches, const StepSettings& settings) {
    if (program_.update == nullptr) throw std::invalid_argument("the program has no update phase");
    if (!(settings.step >= 1)) throw std::invalid_argument("steps count from 1");
    StepResult result = gradients(batches);
    const Counted counted;
    float* const hyper = floats(program_.at.hyper);
    hyper[0] = static_cast<float>(settings.learning_rate);
    hyper[1] = static_cast<float>(settings.weight_decay);
    hyper[2] = static_cast<float>(settings.max_grad_norm);
    hyper[3] = static_cast<float>(1 - std::pow(program_.beta1, settings.step));
    hyper[4] = static_cast<float>(1 - std::pow(program_.beta2, settings.step));
    run_phase(program_.update);
    if (program_.at.norm >= 0) result.norm = floats(program_.at.norm)[0];
    return result;
  }

  /// How many rows one call of logits() takes, and how many values a row has.
  std::int64_t logits_rows() const {
    return program_.at.rows < 0 ? 0 : tensor(program_.at.rows).elements;
  }
  std::int64_t logits_width() const {
    return program_.at.logits < 0 ? 0 : tensor(program_.at.logits).elements / logits_rows();
  }

  /// Logits of positions of the last forward: `out` [rows, width].
  void logits(const std::vector<std::int32_t>& rows, float* out) {
    if (program_.logits == nullptr) throw std::invalid_argument("the program has no logits phase");
    const std::int64_t capacity = logits_rows(), count = static_cast<std::int64_t>(rows.size());
    if (count < 1 || count > capacity) {
      throw std::invalid_argument("logits takes 1 to " + std::to_string(capacity) + " rows, got " +
                                  std::to_string(count));
    }
    const std::int64_t tokens = tensor(program_.at.input_ids).elements;
    for (const std::int32_t row : rows) {
      if (row < 0 || row >= tokens) throw std::out_of_range("no such row: " + std::to_string(row));
    }
    const Counted counted;
    std::int32_t* const own = ints(program_.at.rows);
    for (std::int64_t i = 0; i < capacity; ++i) own[i] = rows[at(std::min(i, count - 1))];
    run_phase(program_.logits);
    std::memcpy(out, floats(program_.at.logits), at(4 * count * logits_width()));
  }

  Memory memory() const {
    // The plan counts in lines of 64 bytes.
    const std::int64_t lines = (high_water_ + 63) / 64 * 64;
    Memory memory{std::min(lines, program_.arena_bytes), 0, Counted::total()};
    for (const Weight& weight : weights_) memory.weights_copied += weight.owned();
    return memory;
  }
  const std::vector<ProfileEntry>& profile() const { return profile_; }

 private:
  friend class Run;
  static constexpr int kMaxOperands = 32;
  using Clock = std::chrono::steady_clock;

  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
  static int checked_threads(const Program& program, int threads) {
    if (threads < 1 || threads > program.threads) {
      throw std::invalid_argument("the program was planned for 1 to " +
                                  std::to_string(program.threads) + " threads, not " +
                                  std::to_string(threads));
    }
    return threads;
  }
  [[noreturn]] static void fail(const TensorEntry& entry, const std::string& why) {
    throw std::invalid_argument("tensor " + std::string(entry.name) + " " + why);
  }

  float* floats(std::int32_t index) { return reinterpret_cast<float*>(pointers_[at(index)]); }
  std::int32_t* ints(std::int32_t index) {
    return reinterpret_cast<std::int32_t*>(pointers_[at(index)]);
  }

  static void check_count(const TensorEntry& entry, std::size_t count) {
    if (count != at(entry.elements)) {
      fail(entry, "has " + std::to_string(entry.elements) + " values, got " + std::to_string(count));
    }
  }

  /// Integers index other tensors: one out of range would read foreign memory.
  static void check_values(const TensorEntry& entry, const std::int32_t* values,
                           std::int32_t least) {
    if (entry.limit == 0) return;
    for (std::int64_t i = 0; i < entry.elements; ++i) {
      if (values[i] >= entry.limit || values[i] < least) {
        fail(entry, "cannot hold " + std::to_string(values[i]) + " (at " + std::to_string(i) +
                        "): values are below " + std::to_string(entry.limit));
      }
    }
  }

  void check_batch(const Batch& batch) const {
    constexpr std::int32_t any = INT32_MIN;
    const auto check = [&](std::int32_t index, const std::vector<std::int32_t>& values,
                           std::int32_t least) {
      const TensorEntry& entry = tensor(index);
      check_count(entry, values.size());
      check_values(entry, values.data(), least);
    };
    check(program_.at.input_ids, batch.input_ids, 0);
    check(program_.at.labels, batch.labels, any);
    check(program_.at.segment_ids, batch.segment_ids, any);
    for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
      if (pointers_[at(i)] == nullptr) fail(program_.tensors[i], "was never loaded");
    }
  }

  /// The place of a tensor that may be written; a weight gets memory of its own instead of its file's.
  std::byte* writable(std::int64_t index) {
    const TensorEntry& entry = tensor(index);
    if (entry.role == Role::weight) {
      Weight& weight = weights_[at(entry.place)];
      if (weight.data() == nullptr || weight.mapped()) weight = Weight(entry);
      pointers_[at(index)] = weight.data();
    }
    return pointers_[at(index)];
  }

  /// Position t is supervised where its label is one and t-1 lies in the same row and document.
  float scale_of(const Batch* batches, std::size_t count) const {
    std::int64_t supervised = 0;
    for (std::size_t b = 0; b < count; ++b) {
      const std::vector<std::int32_t>&labels = batches[b].labels, &segments = batches[b].segment_ids;
      for (std::size_t t = 1; t < labels.size(); ++t) {
        const bool inside =
            t % at(program_.seq_len) != 0 && segments[t] >= 0 && segments[t] == segments[t - 1];
        supervised += inside && labels[t] >= 0 ? 1 : 0;
      }
    }
    return supervised == 0 ? 0.0f : static_cast<float>(1.0 / static_cast<double>(supervised));
  }

  double run_forward(const Batch& batch, float scale) {
    const auto copy = [&](std::int32_t index, const std::vector<std::int32_t>& values) {
      std::memcpy(pointers_[at(index)], values.data(), 4 * values.size());
    };
    copy(program_.at.input_ids, batch.input_ids);
    copy(program_.at.labels, batch.labels);
    copy(program_.at.segment_ids, batch.segment_ids);
    if (program_.at.loss_scale >= 0) floats(program_.at.loss_scale)[0] = scale;
    run_phase(program_.forward);
    return program_.at.loss < 0 ? 0 : floats(program_.at.loss)[0];
  }

  struct Job {
    Engine* engine;
    Phase phase;
  };

  void run_phase(Phase phase) {
    Job job{this, phase};
    pool_.run(
        [](void* context, int thread) {
          const Counted counted;
          const Job& job = *static_cast<const Job*>(context);
          Run run;
          run.engine_ = job.engine;
          run.worker_ = job.engine->worker(thread);
          job.phase(run);
        },
        &job);
  }

  Worker worker(int thread) {
    std::byte* const scratch = arena_.data() + program_.scratch_offset;
    return {thread, pool_.threads(), scratch + thread * program_.scratch_per_thread,
            scratch + program_.threads * program_.scratch_per_thread, pool_.barrier()};
  }

  void call(const KernelEntry& kernel, const std::int32_t* tensors, const Worker& worker) {
    void* operand[kMaxOperands];
    for (std::int32_t i = 0; i < kernel.operands; ++i) operand[i] = pointers_[at(tensors[i])];
    if (worker.thread != 0) {
      kernel.run(operand, worker);
      worker.barrier->wait();
      return;
    }
    const Clock::time_point begin = Clock::now();
    kernel.run(operand, worker);
    worker.barrier->wait();
    ProfileEntry& entry = profile_[at(kernel.index)];
    entry.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    ++entry.calls;
    for (std::int32_t i = 0; i < kernel.operands; ++i) note_use(program_.tensors[tensors[i]]);
  }

  void note_use(const TensorEntry& entry) {
    if (entry.role == Role::weight) return;
    high_water_ = std::max(high_water_, entry.place + entry.elements * bytes_of(entry.dtype));
    const std::int64_t scratch =
        program_.threads * program_.scratch_per_thread + program_.scratch_shared;
    if (scratch > 0) high_water_ = std::max(high_water_, program_.scratch_offset + scratch);
  }

  void zero_gradients() {
    pool_.run(
        [](void* context, int thread) {
          Engine& engine = *static_cast<Engine*>(context);
          const Worker worker = engine.worker(thread);
          for (std::int32_t i = 0; i < engine.program_.tensor_count; ++i) {
            const TensorEntry& entry = engine.program_.tensors[i];
            if (entry.role != Role::gradient || entry.view) continue;
            const Worker::Range range = worker.share(entry.elements * bytes_of(entry.dtype), 4096);
            std::memset(engine.pointers_[at(i)] + range.begin, 0, at(range.end - range.begin));
          }
        },
        this);
  }

  /// All bits set is NaN in float32 and bf16, and an index out of range in int32.
  void poison() {
    std::memset(arena_.data(), 0xff, arena_.size());
    for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
      const TensorEntry& entry = program_.tensors[i];
      if (entry.role == Role::weight || entry.role == Role::activation) continue;
      if (entry.role == Role::output) continue;
      std::memset(pointers_[at(i)], 0, at(entry.elements * bytes_of(entry.dtype)));
    }
  }

  const Program& program_;
  Pool pool_;
  Region arena_;
  std::vector<Weight> weights_;
  std::vector<std::byte*> pointers_;
  std::vector<ProfileEntry> profile_;
  std::int64_t high_water_ = 0;
};

}  // namespace pacac
