// The engine of GPU programs, and the one function of it that generated schedules call.
#include "cuda/runtime/engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace pacac {

using namespace cuda;

namespace {

/// Graphs that are kept; a run has one or two shapes.
constexpr std::size_t kMostGraphs = 8;
/// The walk of a shape that is timed: the first loads code and wakes the device.
constexpr int kTimedWalk = 1;
constexpr std::int64_t kHyper = 5;

bool is_float(const TensorEntry& entry) { return entry.dtype != DType::i32; }

}  // namespace

void Run::operator()(const KernelEntry& kernel, const std::int32_t* at) { engine_->call(kernel, at, *this); }

Engine::Engine(const Program& program, int threads, bool, bool poison)
    : program_(program),
      one_by_one_(poison),
      device_(open_device(program)),
      layout_(layout_of(program)),
      memory_(allocate(device_, layout_.bytes)),
      compute_(make_stream()),
      copies_(make_stream()),
      began_(make_event(false)),
      first_(make_event(true)),
      last_(make_event(true)),
      loaded_(static_cast<std::size_t>(program.tensor_count)),
      profile_(program, 1),
      usage_(program) {
  if (threads != 1) throw std::invalid_argument("a program for a GPU runs on 1 thread, not " + std::to_string(threads));
  for (int i = 0; i < 2; ++i) ready_[i] = make_event(false), consumed_[i] = make_event(false);
  for (std::int32_t i = 0; i < program.tensor_count; ++i) {
    loaded_[static_cast<std::size_t>(i)] = program.tensors[i].role != Role::weight;
  }
  prepare(program, device_);
  zero_start(poison);
}

Engine::~Engine() {
  // Nothing of this may still run when its memory goes.
  if (compute_.get() != nullptr) cudaStreamSynchronize(compute_.get());
}

/// Parameters, moments and gradients start from zero. All bits set is NaN in float32 and bf16, and no index.
void Engine::zero_start(bool poison) {
  PACAC_CUDA(cudaMemsetAsync(memory_.get(), poison ? 0xff : 0, static_cast<std::size_t>(layout_.bytes), compute_.get()),
             "the program's memory");
  for (std::int32_t i = 0; poison && i < program_.tensor_count; ++i) {
    const TensorEntry& entry = program_.tensors[i];
    if (entry.role == Role::weight || entry.role == Role::activation || entry.role == Role::output) continue;
    PACAC_CUDA(cudaMemsetAsync(at(i), 0, static_cast<std::size_t>(bytes_of_tensor(entry)), compute_.get()), entry.name);
  }
  PACAC_CUDA(cudaStreamSynchronize(compute_.get()), "the program's memory");
}

const TensorEntry& Engine::tensor(std::int64_t index) const {
  if (index < 0 || index >= program_.tensor_count) throw std::out_of_range("no such tensor");
  return program_.tensors[index];
}

void Engine::load(std::int64_t index, const std::string& file, std::int64_t offset, FileType type) {
  const TensorEntry& entry = tensor(index);
  if (!is_float(entry)) fail(entry, "holds integers, a file of floats does not fit");
  PACAC_CUDA(cudaSetDevice(device_.index), "the device");
  const FileRange range(file, offset, entry.elements * bytes_of(type));
  const std::int64_t size = bytes_of(entry.dtype);
  staging_.upload(at(static_cast<std::int32_t>(index)), bytes_of_tensor(entry), entry.name,
                  [&](std::byte* to, std::int64_t from, std::int64_t count) {
                    convert(range.data() + from / size * bytes_of(type), type, count / size, entry.dtype, to);
                  });
  loaded_[static_cast<std::size_t>(index)] = true;
}

void Engine::write(std::int64_t index, const float* values, std::size_t count) {
  const TensorEntry& entry = tensor(index);
  if (!is_float(entry)) fail(entry, "holds integers, not floats");
  check_count(entry, count);
  PACAC_CUDA(cudaSetDevice(device_.index), "the device");
  const std::int64_t size = bytes_of(entry.dtype);
  const std::byte* const from = reinterpret_cast<const std::byte*>(values);
  staging_.upload(at(static_cast<std::int32_t>(index)), bytes_of_tensor(entry), entry.name,
                  [&](std::byte* to, std::int64_t first, std::int64_t bytes) {
                    convert(from + first / size * 4, FileType::f32, bytes / size, entry.dtype, to);
                  });
  loaded_[static_cast<std::size_t>(index)] = true;
}

void Engine::write(std::int64_t index, const std::int32_t* values, std::size_t count) {
  const TensorEntry& entry = tensor(index);
  if (is_float(entry)) fail(entry, "holds floats, not integers");
  check_count(entry, count);
  check_values(entry, values, 0);
  PACAC_CUDA(cudaSetDevice(device_.index), "the device");
  const std::byte* const from = reinterpret_cast<const std::byte*>(values);
  staging_.upload(at(static_cast<std::int32_t>(index)), bytes_of_tensor(entry), entry.name,
                  [&](std::byte* to, std::int64_t first, std::int64_t bytes) {
                    std::memcpy(to, from + first, static_cast<std::size_t>(bytes));
                  });
}

void Engine::read(std::int64_t index, void* out) {
  const TensorEntry& entry = tensor(index);
  if (!loaded_[static_cast<std::size_t>(index)]) fail(entry, "was never loaded");
  PACAC_CUDA(cudaSetDevice(device_.index), "the device");
  const FileType type = entry.dtype == DType::bf16 ? FileType::bf16 : FileType::f32;
  const std::int64_t size = bytes_of(entry.dtype);
  std::byte* const to = static_cast<std::byte*>(out);
  staging_.download(at(static_cast<std::int32_t>(index)), bytes_of_tensor(entry), entry.name,
                    [&](const std::byte* from, std::int64_t first, std::int64_t bytes) {
                      // int32 travels as its 4 bytes
                      convert(from, type, bytes / size, DType::f32, to + first / size * 4);
                    });
}

StepResult Engine::forward(const Batch& batch) {
  check_batch(program_, batch);
  return walk(&batch, 1, false, nullptr);
}

StepResult Engine::gradients(const std::vector<Batch>& batches) {
  require(batches);
  return walk(batches.data(), batches.size(), true, nullptr);
}

StepResult Engine::step(const std::vector<Batch>& batches, const StepSettings& settings) {
  if (program_.update == nullptr) throw std::invalid_argument("the program has no update phase");
  if (!(settings.step >= 1)) throw std::invalid_argument("steps count from 1");
  require(batches);
  return walk(batches.data(), batches.size(), true, &settings);
}

void Engine::require(const std::vector<Batch>& batches) const {
  if (batches.empty()) throw std::invalid_argument("there is no batch");
  if (program_.backward == nullptr) throw std::invalid_argument("the program has no backward phase");
  for (const Batch& batch : batches) check_batch(program_, batch);
}

void Engine::check_loaded() const {
  for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
    if (!loaded_[static_cast<std::size_t>(i)]) fail(program_.tensors[i], "was never loaded");
  }
}

std::int64_t Engine::logits_rows() const { return program_.at.rows < 0 ? 0 : tensor(program_.at.rows).elements; }

std::int64_t Engine::logits_width() const {
  return program_.at.logits < 0 ? 0 : tensor(program_.at.logits).elements / logits_rows();
}

void Engine::logits(const std::vector<std::int32_t>& rows, float* out) {
  if (program_.logits == nullptr) throw std::invalid_argument("the program has no logits phase");
  const std::int64_t capacity = logits_rows(), count = static_cast<std::int64_t>(rows.size());
  if (count < 1 || count > capacity) {
    throw std::invalid_argument("logits takes 1 to " + std::to_string(capacity) + " rows, got " + std::to_string(count));
  }
  const std::int64_t tokens = tensor(program_.at.input_ids).elements;
  for (const std::int32_t row : rows) {
    if (row < 0 || row >= tokens) throw std::out_of_range("no such row: " + std::to_string(row));
  }
  check_loaded();
  std::vector<std::int32_t> all(rows);
  all.resize(static_cast<std::size_t>(capacity), rows.back());
  write(program_.at.rows, all.data(), all.size());
  walk_phase(PhaseIndex::logits, nullptr, false);
  PACAC_CUDA(cudaStreamSynchronize(compute_.get()), "the logits phase");
  const std::int64_t width = logits_width();
  staging_.download(at(program_.at.logits), 4 * count * width, "logits",
                    [&](const std::byte* from, std::int64_t first, std::int64_t bytes) {
                      std::memcpy(reinterpret_cast<std::byte*>(out) + first, from, static_cast<std::size_t>(bytes));
                    });
}

void Engine::write_text(PhaseIndex) {
  throw std::invalid_argument("the program was compiled for training, not for writing text");
}

Memory Engine::memory() const { return {usage_.bytes(), layout_.weights, Counted::total()}; }

void Engine::record(std::int64_t calls) { trace_.start(calls, 1); }

double Engine::last_seconds() const {
  float milliseconds = 0;
  PACAC_CUDA(cudaEventElapsedTime(&milliseconds, first_.get(), last_.get()), "a step's time");
  return static_cast<double>(milliseconds) * 1e-3;
}

// A walk: inputs and settings into pinned memory, one graph, results out of pinned memory.

StepResult Engine::walk(const Batch* batches, std::size_t count, bool backward, const StepSettings* settings) {
  check_loaded();
  PACAC_CUDA(cudaSetDevice(device_.index), "the device");  // promises may run on any thread of Node's
  reserve(count);
  fill(batches, count);
  if (settings != nullptr) fill(*settings);
  Shape shape{count, backward, settings != nullptr, false};
  shape.timed = timed(shape);
  run(shape);
  StepResult result;
  const Counted counted;
  const float* const losses = reinterpret_cast<const float*>(static_cast<std::byte*>(pinned_.get()) +
                                                             static_cast<std::int64_t>(capacity_) * layout_.slot_bytes);
  for (std::size_t i = 0; i < count && program_.at.loss >= 0; ++i) result.loss += losses[i];
  if (settings != nullptr && program_.at.norm >= 0) result.norm = losses[capacity_ + static_cast<std::size_t>(kHyper)];
  return result;
}

/// Whether this walk of a shape is to be timed.
bool Engine::timed(Shape shape) {
  const auto known = std::find_if(seen_.begin(), seen_.end(), [&](const auto& own) { return own.first == shape; });
  if (known == seen_.end()) {
    if (seen_.size() == kMostGraphs) seen_.erase(seen_.begin());
    seen_.emplace_back(shape, 0);
    return trace_.on();
  }
  return ++known->second == kTimedWalk || trace_.on();
}

/// Pinned memory for `count` micro-batches. Graphs hold its addresses: they go where it moves.
void Engine::reserve(std::size_t count) {
  if (count <= capacity_) return;
  const std::int64_t slots = static_cast<std::int64_t>(count) * layout_.slot_bytes;
  const std::int64_t floats = static_cast<std::int64_t>(count) + kHyper + 1;
  graphs_.clear();
  pinned_ = make_pinned(slots + 4 * floats, "the batches' staging memory");
  capacity_ = count;
}

void Engine::fill(const Batch* batches, std::size_t count) {
  const Counted counted;
  const float scale = scale_of(program_, batches, count);
  for (std::size_t i = 0; i < count; ++i) {
    std::byte* to = static_cast<std::byte*>(pinned_.get()) + static_cast<std::int64_t>(i) * layout_.slot_bytes;
    for (const std::vector<std::int32_t>* values : {&batches[i].input_ids, &batches[i].labels, &batches[i].segment_ids}) {
      std::memcpy(to, values->data(), 4 * values->size());
      to += padded(static_cast<std::int64_t>(4 * values->size()));
    }
    if (program_.at.loss_scale >= 0) std::memcpy(to, &scale, sizeof scale);
  }
}

void Engine::fill(const StepSettings& settings) {
  const Counted counted;
  float* const hyper = reinterpret_cast<float*>(static_cast<std::byte*>(pinned_.get()) +
                                                static_cast<std::int64_t>(capacity_) * layout_.slot_bytes) +
                       capacity_;
  hyper[0] = static_cast<float>(settings.learning_rate);
  hyper[1] = static_cast<float>(settings.weight_decay);
  hyper[2] = static_cast<float>(settings.max_grad_norm);
  hyper[3] = static_cast<float>(1 - std::pow(program_.beta1, settings.step));
  hyper[4] = static_cast<float>(1 - std::pow(program_.beta2, settings.step));
}

void Engine::run(const Shape& shape) {
  PACAC_CUDA(cudaEventRecord(first_.get(), compute_.get()), "a step");
  Timeline* timeline = nullptr;
  if (one_by_one_) {
    loose_.clear();
    timeline = shape.timed ? &loose_ : nullptr;
    enqueue(shape, timeline, false);
  } else {
    Captured& own = captured(shape);
    timeline = own.timeline.get();
    PACAC_CUDA(cudaGraphLaunch(own.graph.get(), compute_.get()), "a step");
  }
  PACAC_CUDA(cudaEventRecord(last_.get(), compute_.get()), "a step");
  PACAC_CUDA(cudaStreamSynchronize(compute_.get()), "a step; poison: true names the kernel");
  if (timeline != nullptr) timeline->read(profile_, trace_);
}

/// The walk's graph, captured on its first use.
Engine::Captured& Engine::captured(const Shape& shape) {
  for (Captured& own : graphs_) {
    if (own.shape == shape) return own;
  }
  Captured own{shape, {}, shape.timed ? std::make_unique<Timeline>() : nullptr};
  PACAC_CUDA(cudaStreamBeginCapture(compute_.get(), cudaStreamCaptureModeThreadLocal), "capturing a step");
  cudaGraph_t raw = nullptr;
  try {
    enqueue(shape, own.timeline.get(), true);
  } catch (...) {
    cudaStreamEndCapture(compute_.get(), &raw);  // the first error says more
    const Graph unfinished(raw);
    throw;
  }
  PACAC_CUDA(cudaStreamEndCapture(compute_.get(), &raw), "capturing a step");
  const Graph graph(raw);
  cudaGraphExec_t executable = nullptr;
  PACAC_CUDA(cudaGraphInstantiateWithFlags(&executable, graph.get(), 0), "a step's graph");
  own.graph = GraphExec(executable);
  if (graphs_.size() == kMostGraphs) graphs_.erase(graphs_.begin());
  graphs_.push_back(std::move(own));
  return graphs_.back();
}

/// All that a walk does on the device, in order. The copy stream goes ahead by up to two micro-batches.
void Engine::enqueue(const Shape& shape, Timeline* timeline, bool capturing) {
  const cudaStream_t stream = compute_.get();
  std::byte* const pinned = static_cast<std::byte*>(pinned_.get());
  std::byte* const losses = pinned + static_cast<std::int64_t>(capacity_) * layout_.slot_bytes;
  std::byte* const hyper = losses + 4 * capacity_;
  PACAC_CUDA(cudaEventRecord(began_.get(), stream), "the copy stream");
  PACAC_CUDA(cudaStreamWaitEvent(copies_.get(), began_.get(), 0), "the copy stream");
  if (shape.backward) {
    for (std::int32_t i = 0; i < program_.tensor_count; ++i) {
      const TensorEntry& entry = program_.tensors[i];
      if (entry.role != Role::gradient || entry.view) continue;
      PACAC_CUDA(cudaMemsetAsync(at(i), 0, static_cast<std::size_t>(bytes_of_tensor(entry)), stream), entry.name);
    }
  }
  for (std::size_t i = 0; i < shape.count; ++i) {
    enqueue_inputs(i);
    walk_phase(PhaseIndex::forward, timeline, capturing);
    if (program_.at.loss >= 0) {
      PACAC_CUDA(cudaMemcpyAsync(losses + 4 * i, at(program_.at.loss), 4, cudaMemcpyDeviceToHost, stream), "the loss");
    }
    if (shape.backward) walk_phase(PhaseIndex::backward, timeline, capturing);
  }
  if (!shape.update) return;
  PACAC_CUDA(cudaMemcpyAsync(at(program_.at.hyper), hyper, 4 * kHyper, cudaMemcpyHostToDevice, stream), "the settings");
  walk_phase(PhaseIndex::update, timeline, capturing);
  if (program_.at.norm >= 0) {
    PACAC_CUDA(cudaMemcpyAsync(hyper + 4 * kHyper, at(program_.at.norm), 4, cudaMemcpyDeviceToHost, stream),
               "the gradients' norm");
  }
}

/// Pinned slot i to the device on the copy stream, then into the tensors on the compute stream.
void Engine::enqueue_inputs(std::size_t index) {
  const std::size_t turn = index % 2;
  const std::byte* const from =
      static_cast<std::byte*>(pinned_.get()) + static_cast<std::int64_t>(index) * layout_.slot_bytes;
  if (index >= 2) PACAC_CUDA(cudaStreamWaitEvent(copies_.get(), consumed_[turn].get(), 0), "a slot of inputs");
  PACAC_CUDA(cudaMemcpyAsync(slot(index), from, static_cast<std::size_t>(layout_.slot_bytes), cudaMemcpyHostToDevice,
                             copies_.get()),
             "a batch's inputs");
  PACAC_CUDA(cudaEventRecord(ready_[turn].get(), copies_.get()), "a batch's inputs");
  PACAC_CUDA(cudaStreamWaitEvent(compute_.get(), ready_[turn].get(), 0), "a batch's inputs");
  const std::byte* part = slot(index);
  for (const std::int32_t row : Inputs(program_).row) {
    if (row < 0) continue;
    const std::int64_t bytes = bytes_of_tensor(program_.tensors[row]);
    PACAC_CUDA(cudaMemcpyAsync(at(row), part, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, compute_.get()),
               program_.tensors[row].name);
    part += padded(bytes);
  }
  PACAC_CUDA(cudaEventRecord(consumed_[turn].get(), compute_.get()), "a slot of inputs");
}

void Engine::walk_phase(PhaseIndex index, Timeline* timeline, bool capturing) {
  Run run;
  run.engine_ = this;
  run.phase_ = index;
  timeline_ = timeline;
  capturing_ = capturing;
  if (timeline != nullptr) timeline->mark(compute_.get(), capturing);
  const Phase phases[] = {program_.forward, program_.logits, program_.backward, program_.update};
  phases[static_cast<int>(index)](run);
}

/// Queues a kernel's launches.
void Engine::call(const KernelEntry& kernel, const std::int32_t* tensors, const Run& run) {
  void* values[kMaxOperands + 1];
  void* arguments[kMaxOperands + 2];
  std::int32_t count = kernel.operands;
  for (std::int32_t i = 0; i < count; ++i) values[i] = at(tensors[i]);
  if (kernel.workspace) values[count++] = static_cast<std::byte*>(memory_.get()) + program_.scratch_offset;
  for (std::int32_t i = 0; i < count; ++i) arguments[i] = &values[i];
  for (std::int32_t i = 0; i < kernel.launch_count; ++i) {
    const Launch& launch = kernel.launches[i];
    std::int32_t part = launch.part;
    arguments[count] = &part;
    PACAC_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(launch.function),
                                dim3(launch.grid[0], launch.grid[1], launch.grid[2]), dim3(launch.threads), arguments,
                                launch.shared, compute_.get()),
               kernel.name);
    if (one_by_one_) PACAC_CUDA(cudaStreamSynchronize(compute_.get()), kernel.name);
  }
  usage_.add(kernel, tensors);
  if (timeline_ != nullptr) timeline_->add({&kernel, run.phase_, tensors}, compute_.get(), capturing_);
}

}  // namespace pacac
