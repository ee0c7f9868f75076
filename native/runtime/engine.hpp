// Runs a generated program: owns its memory and threads, fills its inputs, walks its phases.
//
// Everything is allocated when the engine is made; a step allocates nothing, which allocations.hpp counts.
// Faults of the caller are exceptions with a sentence; nothing here trusts a length, an id or a file.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/allocations.hpp"
#include "runtime/arena.hpp"
#include "runtime/balance.hpp"
#include "runtime/batch.hpp"
#include "runtime/parts.hpp"
#include "runtime/pool.hpp"
#include "runtime/profile.hpp"
#include "runtime/program.hpp"
#include "runtime/tile_permission.hpp"
#include "runtime/trace.hpp"
#include "runtime/usage.hpp"
#include "runtime/weights.hpp"

namespace pacac {

class Engine {
 public:
  /// @param poison fills memory that kernels must write before reading with NaN, and gives threads shares of the work that differ
  Engine(const Program& program, int threads, bool pin, bool poison)
      : program_(program),
        pool_(checked(program, threads), pin),
        arena_(program.arena_bytes),
        weights_(static_cast<std::size_t>(program.weight_count)),
        pointers_(static_cast<std::size_t>(program.tensor_count)),
        balance_(program, threads, poison),
        profile_(program, threads),
        usage_(program) {
    for (std::int32_t i = 0; i < program.tensor_count; ++i) {
      const TensorEntry& entry = program.tensors[i];
      if (entry.role != Role::weight) pointers_[at(i)] = arena_.data() + entry.place;
    }
    for (std::int32_t i = 0; i < program.kernel_count; ++i) {
      if (program.kernels[i]->operands > kMaxOperands) throw std::logic_error("a kernel has too many operands");
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
    Job job;
    job.batches = &batch;
    job.count = 1;
    return walk(job);
  }

  /// Forward and backward of all micro-batches; the losses add up to their mean over supervised tokens.
  StepResult gradients(const std::vector<Batch>& batches) {
    return walk(job_of(batches, nullptr));
  }

  /// Gradients, then the optimiser.
  StepResult step(const std::vector<Batch>& batches, const StepSettings& settings) {
    if (program_.update == nullptr) throw std::invalid_argument("the program has no update phase");
    if (!(settings.step >= 1)) throw std::invalid_argument("steps count from 1");
    return walk(job_of(batches, &settings));
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
    Job job;
    run([](Engine& engine, Job&, Run& run) { engine.phase(run, PhaseIndex::logits); }, job);
    std::memcpy(out, floats(program_.at.logits), at(4 * count * logits_width()));
  }

  /// Walks prefill or decode on what its inputs hold now: write() has checked them.
  void write_text(PhaseIndex index) {
    if (program_.prefill == nullptr || program_.decode == nullptr) {
      throw std::invalid_argument("the program was compiled for training, not for writing text");
    }
    check_loaded();
    const Counted counted;
    Job job;
    job.text = index;
    run([](Engine& engine, Job& job, Run& run) { engine.phase(run, job.text); }, job);
  }

  Memory memory() const {
    Memory memory{usage_.bytes(), 0, Counted::total()};
    for (const Weight& weight : weights_) memory.weights_copied += weight.owned();
    return memory;
  }
  int threads() const { return pool_.threads(); }
  const Profile& profile() const { return profile_; }
  const Trace& trace() const { return trace_; }
  /// Keeps the times of the next `calls` kernel calls; 0: no more. @throws std::invalid_argument where that is too many
  void record(std::int64_t calls) { trace_.start(calls, threads()); }

 private:
  friend class Run;

  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
  /// The number of threads, of a program that this process can run.
  static int checked(const Program& program, int threads) {
    if (std::strcmp(program.isa, "amx_bf16") == 0 && !allow_tiles()) {
      throw std::runtime_error("the system lets this process use no tile registers (AMX); compile with --isa avx512");
    }
    if (threads < 1 || threads > program.threads) {
      throw std::invalid_argument("the program was planned for 1 to " +
                                  std::to_string(program.threads) + " threads, not " +
                                  std::to_string(threads));
    }
    return threads;
  }
  float* floats(std::int32_t index) { return reinterpret_cast<float*>(pointers_[at(index)]); }
  std::int32_t* ints(std::int32_t index) {
    return reinterpret_cast<std::int32_t*>(pointers_[at(index)]);
  }

  void check_batch(const Batch& batch) const {
    pacac::check_batch(program_, batch);
    check_loaded();
  }

  void check_loaded() const {
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

  /// What one walk of all threads does: micro-batches forward, perhaps backward, perhaps an update behind them.
  struct Job {
    const Batch* batches = nullptr;
    std::size_t count = 0;
    bool backward = false;
    const StepSettings* settings = nullptr;
    PhaseIndex text = PhaseIndex::decode;
    float scale = 0;
    StepResult result{};
  };
  using Body = void (*)(Engine& engine, Job& job, Run& run);

  /// Runs `body` on all threads. One hand-over, however many phases the body walks.
  void run(Body body, Job& job) {
    struct Context {
      Engine* engine;
      Body body;
      Job* job;
    } context{this, body, &job};
    parts_.reset();
    pool_.run(
        [](void* given, int thread) {
          const Counted counted;
          const Context& context = *static_cast<const Context*>(given);
          Run run;
          run.engine_ = context.engine;
          run.worker_ = context.engine->worker(thread);
          context.body(*context.engine, *context.job, run);
        },
        &context);
  }

  Job job_of(const std::vector<Batch>& batches, const StepSettings* settings) const {
    if (batches.empty()) throw std::invalid_argument("there is no batch");
    if (program_.backward == nullptr) throw std::invalid_argument("the program has no backward phase");
    for (const Batch& batch : batches) check_batch(batch);
    Job job;
    job.batches = batches.data();
    job.count = batches.size();
    job.backward = true;
    job.settings = settings;
    return job;
  }

  StepResult walk(Job job) {
    const Counted counted;
    job.scale = scale_of(program_, job.batches, job.count);
    run([](Engine& engine, Job& job, Run& run) { engine.walk_along(job, run); }, job);
    return job.result;
  }

  /// One thread's way through a step; what a single thread does stands before a barrier.
  void walk_along(Job& job, Run& run) {
    const Worker& worker = run.worker_;
    if (job.backward) zero_gradients(worker);
    for (std::size_t i = 0; i < job.count; ++i) {
      if (worker.thread == 0) fill(job.batches[i], job.scale);
      worker.barrier->wait();
      phase(run, PhaseIndex::forward);
      // The loss is an output: no other tensor lies on it, so the others may go on.
      if (worker.thread == 0 && program_.at.loss >= 0) job.result.loss += floats(program_.at.loss)[0];
      if (job.backward) phase(run, PhaseIndex::backward);
    }
    if (job.settings == nullptr) return;
    if (worker.thread == 0) fill(*job.settings);
    worker.barrier->wait();
    phase(run, PhaseIndex::update);
    if (worker.thread == 0 && program_.at.norm >= 0) job.result.norm = floats(program_.at.norm)[0];
  }

  void phase(Run& run, PhaseIndex index) {
    run.phase_ = index;
    const Phase phases[] = {program_.forward, program_.logits,  program_.backward,
                            program_.update,  program_.prefill, program_.decode};
    phases[static_cast<int>(index)](run);
  }

  void fill(const Batch& batch, float scale) {
    const auto copy = [&](std::int32_t index, const std::vector<std::int32_t>& values) {
      std::memcpy(pointers_[at(index)], values.data(), 4 * values.size());
    };
    copy(program_.at.input_ids, batch.input_ids);
    copy(program_.at.labels, batch.labels);
    copy(program_.at.segment_ids, batch.segment_ids);
    if (program_.at.loss_scale >= 0) floats(program_.at.loss_scale)[0] = scale;
  }

  void fill(const StepSettings& settings) {
    float* const hyper = floats(program_.at.hyper);
    hyper[0] = static_cast<float>(settings.learning_rate);
    hyper[1] = static_cast<float>(settings.weight_decay);
    hyper[2] = static_cast<float>(settings.max_grad_norm);
    hyper[3] = static_cast<float>(1 - std::pow(program_.beta1, settings.step));
    hyper[4] = static_cast<float>(1 - std::pow(program_.beta2, settings.step));
  }

  Worker worker(int thread) {
    std::byte* const scratch = arena_.data() + program_.scratch_offset;
    return {thread, pool_.threads(), scratch + thread * program_.scratch_per_thread,
            scratch + program_.threads * program_.scratch_per_thread, pool_.barrier()};
  }

  void call(const KernelEntry& kernel, const std::int32_t* tensors, Run& run) {
    Worker& worker = run.worker_;
    const std::int64_t region = run.calls_++;
    worker.next = parts_.of(region, worker.thread);
    worker.bounds = balance_.bounds(worker.thread, kernel);
    void* operand[kMaxOperands];
    for (std::int32_t i = 0; i < kernel.operands; ++i) operand[i] = pointers_[at(tensors[i])];
    const Moment begin = now();
    kernel.run(operand, worker);
    const Moment worked = now();
    balance_.worked(worker.thread, region, begin, worked);
    worker.barrier->wait();
    balance_.learn(worker.thread, kernel, region, worker.bounds);
    const Span span{begin, worked, now()};
    profile_.add(worker.thread, kernel, span);
    if (trace_.on()) trace_.add(worker.thread, {&kernel, run.phase_, tensors}, span);
    if (worker.thread == 0) usage_.add(kernel, tensors);
  }

  void zero_gradients(const Worker& worker) {
    for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
      const TensorEntry& entry = program_.tensors[i];
      if (entry.role != Role::gradient || entry.view) continue;
      const Worker::Range range = worker.share(entry.elements * bytes_of(entry.dtype), 4096);
      std::memset(pointers_[at(i)] + range.begin, 0, at(range.end - range.begin));
    }
  }

  /// All bits set is NaN in float32 and bf16, and an index out of range in int32.
  void poison() {
    std::memset(arena_.data(), 0xff, arena_.size());
    for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
      const TensorEntry& entry = program_.tensors[i];
      if (entry.role == Role::weight || entry.role == Role::activation) continue;
      if (entry.role == Role::output || entry.role == Role::cache) continue;
      std::memset(pointers_[at(i)], 0, at(entry.elements * bytes_of(entry.dtype)));
    }
  }

  const Program& program_;
  Pool pool_;
  PartCounters parts_;
  Region arena_;
  std::vector<Weight> weights_;
  std::vector<std::byte*> pointers_;
  Balance balance_;
  Profile profile_;
  Usage usage_;
  Trace trace_;
};

}  // namespace pacac
