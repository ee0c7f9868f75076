// The program as Node sees it: one class over the engine, through Node-API.
//
// Long calls run on a worker thread and give promises; the caller (src/train/native_engine.ts) makes them wait for
// one another, and this side refuses to be entered twice. C++ exceptions become JavaScript errors here, by node-addon-api.
#include <napi.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/instruction_sets.hpp"
#ifdef PACAC_CUDA
#include "cuda/runtime/engine.hpp"
#else
#include "runtime/engine.hpp"
#endif

namespace {

using pacac::Batch;
using pacac::Engine;

/// Turns what the engine throws into a JavaScript error.
template <typename Body>
auto translated(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
}

std::vector<std::int32_t> int32s(const Napi::Value& value, const char* what) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Napi::TypeError::New(value.Env(), std::string(what) + " is not an Int32Array");
  }
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Batch batch_of(const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "a batch is not an object");
  const auto object = value.As<Napi::Object>();
  return {int32s(object.Get("inputIds"), "inputIds"), int32s(object.Get("labels"), "labels"),
          int32s(object.Get("segmentIds"), "segmentIds")};
}

std::vector<Batch> batches_of(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "batches is not an array");
  const auto array = value.As<Napi::Array>();
  std::vector<Batch> batches;
  for (std::uint32_t i = 0; i < array.Length(); ++i) batches.push_back(batch_of(array.Get(i)));
  return batches;
}

/// One call of the engine off the event loop. `work` runs there, `give` makes its result in JavaScript.
class Task final : public Napi::AsyncWorker {
 public:
  using Give = std::function<Napi::Value(Napi::Env)>;

  Task(Napi::Object owner, bool& busy, std::function<void()> work, Give give)
      : Napi::AsyncWorker(owner.Env()),
        owner_(Napi::Persistent(owner)),
        deferred_(Napi::Promise::Deferred::New(owner.Env())),
        busy_(busy),
        work_(std::move(work)),
        give_(std::move(give)) {
    busy_ = true;
  }
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { work_(); }  // an exception's text reaches OnError
  void OnOK() override {
    busy_ = false;
    deferred_.Resolve(give_(Env()));
  }
  void OnError(const Napi::Error& error) override {
    busy_ = false;
    deferred_.Reject(error.Value());
  }

 private:
  Napi::ObjectReference owner_;  // keeps the engine alive until the work is done
  Napi::Promise::Deferred deferred_;
  bool& busy_;
  std::function<void()> work_;
  Give give_;
};

class NativeProgram final : public Napi::ObjectWrap<NativeProgram> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeProgram",
                       {
                           InstanceMethod<&NativeProgram::tensors>("tensors"),
                           InstanceMethod<&NativeProgram::load>("load"),
                           InstanceMethod<&NativeProgram::write>("write"),
                           InstanceMethod<&NativeProgram::read>("read"),
                           InstanceMethod<&NativeProgram::step>("step"),
                           InstanceMethod<&NativeProgram::gradients>("gradients"),
                           InstanceMethod<&NativeProgram::forward>("forward"),
                           InstanceMethod<&NativeProgram::logits>("logits"),
                           InstanceMethod<&NativeProgram::run>("run"),
                           InstanceMethod<&NativeProgram::memory>("memory"),
                           InstanceMethod<&NativeProgram::profile>("profile"),
                           InstanceMethod<&NativeProgram::trace>("trace"),
                           InstanceMethod<&NativeProgram::traced>("traced"),
                           InstanceMethod<&NativeProgram::dispose>("dispose"),
                       });
  }

  /// new NativeProgram({ threads, pin, poison })
  explicit NativeProgram(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeProgram>(info) {
    const Napi::Object options = info[0].As<Napi::Object>();
    const auto flag = [&](const char* name) { return options.Get(name).ToBoolean().Value(); };
    const Napi::Value threads = options.Get("threads");
    const int count = threads.IsNumber() ? threads.As<Napi::Number>().Int32Value()
                                         : pacac::program.threads;
    engine_ = translated(info.Env(), [&] {
      return std::make_unique<Engine>(pacac::program, count, flag("pin"), flag("poison"));
    });
  }

 private:
  /// The engine, where it is there and nothing runs on it.
  Engine& engine(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) throw Napi::Error::New(info.Env(), "the program was disposed of");
    if (busy_) throw Napi::Error::New(info.Env(), "another call is still running");
    return *engine_;
  }

  Napi::Value start(const Napi::CallbackInfo& info, std::function<void()> work, Task::Give give) {
    auto* const task =
        new Task(info.This().As<Napi::Object>(), busy_, std::move(work), std::move(give));
    const Napi::Promise promise = task->promise();
    task->Queue();
    return promise;
  }

  /// tensors(): string[], the names by index.
  Napi::Value tensors(const Napi::CallbackInfo& info) {
    const pacac::Program& program = engine(info).program();
    Napi::Array names = Napi::Array::New(info.Env());
    for (std::int32_t i = 0; i < program.tensor_count; ++i) {
      names.Set(static_cast<std::uint32_t>(i), program.tensors[i].name);
    }
    return names;
  }

  /// load(index, file, byteOffset, "F32" | "BF16" | "F16")
  void load(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const std::string type = info[3].As<Napi::String>();
    const pacac::FileType file_type = type == "F32"    ? pacac::FileType::f32
                                      : type == "BF16" ? pacac::FileType::bf16
                                                       : pacac::FileType::f16;
    if (type != "F32" && type != "BF16" && type != "F16") {
      throw Napi::TypeError::New(info.Env(), "cannot load values of type " + type);
    }
    const std::string file = info[1].As<Napi::String>();
    const auto number = [&](std::size_t i) { return info[i].As<Napi::Number>().Int64Value(); };
    translated(info.Env(), [&] { own.load(number(0), file, number(2), file_type); });
  }

  /// write(index, Float32Array | Int32Array)
  void write(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const std::int64_t index = info[0].As<Napi::Number>().Int64Value();
    if (!info[1].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "not a typed array");
    const auto values = info[1].As<Napi::TypedArray>();
    const std::size_t count = values.ElementLength();
    translated(info.Env(), [&] {
      if (values.TypedArrayType() == napi_float32_array) {
        own.write(index, values.As<Napi::Float32Array>().Data(), count);
      } else if (values.TypedArrayType() == napi_int32_array) {
        own.write(index, values.As<Napi::Int32Array>().Data(), count);
      } else {
        throw Napi::TypeError::New(info.Env(), "neither a Float32Array nor an Int32Array");
      }
    });
  }

  /// read(index): Float32Array | Int32Array
  Napi::Value read(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const std::int64_t index = info[0].As<Napi::Number>().Int64Value();
    return translated(info.Env(), [&]() -> Napi::Value {
      const pacac::TensorEntry& entry = own.tensor(index);
      const auto count = static_cast<std::size_t>(entry.elements);
      auto buffer = Napi::ArrayBuffer::New(info.Env(), 4 * count);
      own.read(index, buffer.Data());
      if (entry.dtype == pacac::DType::i32) {
        return Napi::Int32Array::New(info.Env(), count, buffer, 0);
      }
      return Napi::Float32Array::New(info.Env(), count, buffer, 0);
    });
  }

  /// A result object { loss, gradNorm }.
  static Task::Give giver(const std::shared_ptr<pacac::StepResult>& result) {
    return [result](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("loss", result->loss);
      object.Set("gradNorm", result->norm);
      return object;
    };
  }

  /// step(batches, Float64Array [learningRate, weightDecay, maxGradNorm, step]): Promise
  Napi::Value step(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    if (!info[1].IsTypedArray() ||
        info[1].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
        info[1].As<Napi::TypedArray>().ElementLength() != 4) {
      throw Napi::TypeError::New(info.Env(), "settings is not a Float64Array of 4");
    }
    const double* const values = info[1].As<Napi::Float64Array>().Data();
    const pacac::StepSettings settings{values[0], values[1], values[2], values[3]};
    const auto batches = std::make_shared<std::vector<Batch>>(batches_of(info[0]));
    const auto result = std::make_shared<pacac::StepResult>();
    return start(
        info, [&own, batches, settings, result] { *result = own.step(*batches, settings); },
        giver(result));
  }

  /// gradients(batches): Promise
  Napi::Value gradients(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const auto batches = std::make_shared<std::vector<Batch>>(batches_of(info[0]));
    const auto result = std::make_shared<pacac::StepResult>();
    return start(
        info, [&own, batches, result] { *result = own.gradients(*batches); }, giver(result));
  }

  /// forward(batch): Promise
  Napi::Value forward(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const auto batch = std::make_shared<Batch>(batch_of(info[0]));
    const auto result = std::make_shared<pacac::StepResult>();
    return start(info, [&own, batch, result] { *result = own.forward(*batch); }, giver(result));
  }

  /// logits(Int32Array rows): Promise of Float32Array [rows, vocab]; at most `capacity` rows
  Napi::Value logits(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const auto rows = std::make_shared<std::vector<std::int32_t>>(int32s(info[0], "rows"));
    const std::size_t count = rows->size() * static_cast<std::size_t>(own.logits_width());
    if (static_cast<std::int64_t>(rows->size()) > own.logits_rows()) {
      throw Napi::RangeError::New(info.Env(), "more rows than the program computes in one go");
    }
    auto array = Napi::Float32Array::New(info.Env(), count);
    const auto kept = std::make_shared<Napi::Reference<Napi::Float32Array>>(
        Napi::Persistent(array));
    float* const out = array.Data();
    return start(
        info, [&own, rows, out] { own.logits(*rows, out); },
        [kept](Napi::Env) -> Napi::Value { return kept->Value(); });
  }

  /// run("prefill" | "decode"): Promise
  Napi::Value run(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const std::string name = info[0].As<Napi::String>();
    if (name != "prefill" && name != "decode") {
      throw Napi::TypeError::New(info.Env(), "cannot run phase " + name);
    }
    const auto phase = name == "prefill" ? pacac::PhaseIndex::prefill : pacac::PhaseIndex::decode;
    return start(
        info, [&own, phase] { own.write_text(phase); },
        [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
  }

  /// memory(): { arenaUsed, weightsCopied, stepAllocations, logitsRows, isa, threads }
  Napi::Value memory(const Napi::CallbackInfo& info) {
    const Engine& own = engine(info);
    const pacac::Memory memory = own.memory();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("arenaUsed", static_cast<double>(memory.arena_used));
    object.Set("weightsCopied", static_cast<double>(memory.weights_copied));
    object.Set("stepAllocations", static_cast<double>(memory.step_allocations));
    object.Set("logitsRows", static_cast<double>(own.logits_rows()));
    object.Set("isa", own.program().isa);
    object.Set("threads", static_cast<double>(own.threads()));
    return object;
  }

  /// profile(): { kernel, calls, seconds, worked, flops, bytes }[]
  Napi::Value profile(const Napi::CallbackInfo& info) {
    Napi::Array list = Napi::Array::New(info.Env());
    for (const pacac::ProfileEntry& entry : engine(info).profile().read()) {
      Napi::Object object = Napi::Object::New(info.Env());
      object.Set("kernel", entry.kernel->name);
      object.Set("calls", static_cast<double>(entry.calls));
      object.Set("seconds", entry.seconds);
      object.Set("worked", entry.worked);
      object.Set("flops", entry.kernel->flops);
      object.Set("bytes", entry.kernel->bytes);
      list.Set(list.Length(), object);
    }
    return list;
  }

  /// trace(calls): keeps the next calls' times, 0: no more
  void trace(const Napi::CallbackInfo& info) {
    Engine& own = engine(info);
    const std::int64_t calls = info[0].As<Napi::Number>().Int64Value();
    translated(info.Env(), [&] { own.record(calls); });
  }

  /// traced(): { threads, dropped, calls, times }: of each call an Int32Array's kernel, phase and kMaxOperands tensors, of
  /// each thread and call a Float64Array's begin, worked, end in nanoseconds since the first begin
  Napi::Value traced(const Napi::CallbackInfo& info) {
    const pacac::Trace& trace = engine(info).trace();
    const std::size_t count = trace.size(), threads = trace.threads();
    constexpr std::size_t kRow = 2 + pacac::kMaxOperands;
    Napi::Int32Array calls = Napi::Int32Array::New(info.Env(), count * kRow);
    Napi::Float64Array times = Napi::Float64Array::New(info.Env(), threads * count * 3);
    pacac::Moment origin = INT64_MAX;
    for (std::size_t thread = 0; count > 0 && thread < threads; ++thread) {
      origin = std::min(origin, trace.span(thread, 0).begin);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const pacac::Trace::Kept& call = trace.call(i);
      calls[i * kRow] = call.kernel->index;
      calls[i * kRow + 1] = static_cast<std::int32_t>(call.phase);
      for (std::int32_t j = 0; j < pacac::kMaxOperands; ++j) {
        calls[i * kRow + 2 + static_cast<std::size_t>(j)] = j < call.kernel->operands ? call.tensors[j] : -1;
      }
      for (std::size_t thread = 0; thread < threads; ++thread) {
        const pacac::Span& span = trace.span(thread, i);
        double* const to = times.Data() + (thread * count + i) * 3;
        to[0] = static_cast<double>(span.begin - origin);
        to[1] = static_cast<double>(span.worked - origin);
        to[2] = static_cast<double>(span.end - origin);
      }
    }
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("threads", static_cast<double>(threads));
    object.Set("dropped", static_cast<double>(trace.dropped()));
    object.Set("calls", calls);
    object.Set("times", times);
    return object;
  }

  /// dispose(): frees everything; a second time does nothing.
  void dispose(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return;
    engine(info);
    engine_.reset();
  }

  std::unique_ptr<Engine> engine_;
  bool busy_ = false;
};

/// instructionSets(): what this processor runs, the best first.
Napi::Value instruction_sets(const Napi::CallbackInfo& info) {
  const std::vector<const char*> sets = pacac::instruction_sets();
  Napi::Array names = Napi::Array::New(info.Env(), sets.size());
  for (std::uint32_t i = 0; i < sets.size(); ++i) names.Set(i, sets[i]);
  return names;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeProgram", NativeProgram::define(env));
  exports.Set("instructionSets", Napi::Function::New<instruction_sets>(env, "instructionSets"));
  return exports;
}

}  // namespace

NODE_API_MODULE(pacac, initialise)
