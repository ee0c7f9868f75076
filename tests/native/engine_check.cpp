// The GPU engine over a runtime without a device (fake_cudart.hpp): a program small enough to compute in the head.
//
// y[t] = table[id] + parameter[id]; loss = scale * sum of y over supervised t; gradient[id] += scale;
// parameter -= learning rate * gradient; norm = sum of gradients. The loss's kernel has a workspace and two parts.
//
//   engine_check SCENARIO [NUMBER]         prints what happened, a line each
//   engine_check standalone [ARGUMENT …]   is a standalone program's main function
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cuda/runtime/engine.hpp"
#include "cuda/standalone/check.hpp"
#include "fake_cudart.hpp"

namespace pacac {
namespace {

void lookup_device() {}
void total_first_device() {}
void total_second_device() {}
void scatter_device() {}
void descend_device() {}
void pick_device() {}

constexpr int kTokens = 4, kVocab = 3;

constexpr Launch lookup_launches[] = {{&lookup_device, {1, 1, 1}, 32, 0}};
constexpr Launch total_launches[] = {{&total_first_device, {1, 1, 1}, 32, 64 * 1024, 7}, {&total_second_device, {1, 1, 1}, 32, 0, 9}};
constexpr Launch scatter_launches[] = {{&scatter_device, {1, 1, 1}, 32, 0}};
constexpr Launch descend_launches[] = {{&descend_device, {1, 1, 1}, 32, 0}};
constexpr Launch pick_launches[] = {{&pick_device, {1, 1, 1}, 32, 0}};

const KernelEntry lookup = {0, "lookup", nullptr, 4, 1.0, 1.0, false, lookup_launches, 1};
const KernelEntry total = {1, "total", nullptr, 5, 1.0, 1.0, true, total_launches, 2};
const KernelEntry scatter = {2, "scatter", nullptr, 3, 1.0, 1.0, false, scatter_launches, 1};
const KernelEntry descend = {3, "descend", nullptr, 4, 1.0, 1.0, false, descend_launches, 1};
const KernelEntry pick = {4, "pick", nullptr, 3, 1.0, 1.0, false, pick_launches, 1};
constexpr const KernelEntry* kernels[] = {&lookup, &total, &scatter, &descend, &pick};

enum Row { ids, labels, segments, scale, loss, hyper, norm, rows, logits, parameters, gradients, table, y };

constexpr TensorEntry tensors[] = {
    {"input_ids", DType::i32, Role::input, false, kTokens, 0, kVocab},
    {"labels", DType::i32, Role::input, false, kTokens, 64, kVocab},
    {"segment_ids", DType::i32, Role::input, false, kTokens, 128, 0},
    {"loss_scale", DType::f32, Role::input, false, 1, 192, 0},
    {"loss", DType::f32, Role::output, false, 1, 256, 0},
    {"hyper", DType::f32, Role::input, false, 5, 320, 0},
    {"norm", DType::f32, Role::output, false, 1, 384, 0},
    {"rows", DType::i32, Role::input, false, 2, 448, kTokens},
    {"logits", DType::f32, Role::output, false, 2, 512, 0},
    {"parameters", DType::f32, Role::parameter, false, kVocab, 576, 0},
    {"parameters.grad", DType::f32, Role::gradient, false, kVocab, 640, 0},
    {"table", DType::bf16, Role::weight, false, kVocab, 0, 0},
    {"y", DType::f32, Role::activation, false, kTokens, 704, 0},
};

void forward(Run& run) {
  run(lookup, {ids, table, parameters, y});
  run(total, {y, labels, segments, scale, loss});
}
void pick_logits(Run& run) { run(pick, {y, rows, logits}); }
void backward(Run& run) { run(scatter, {ids, scale, gradients}); }
void update(Run& run) { run(descend, {parameters, gradients, hyper, norm}); }

template <typename Value>
Value* as(void* pointer) {
  return static_cast<Value*>(pointer);
}

void define_kernels() {
  fake::define(&lookup_device, 4, false, [](const std::vector<void*>& p, int) {
    for (int t = 0; t < kTokens; ++t) {
      const std::int32_t id = as<std::int32_t>(p[0])[t];
      as<float>(p[3])[t] = widen(as<bf16>(p[1])[id]) + as<float>(p[2])[id];
    }
  });
  // The first launch leaves its sum in the workspace, the second reads it.
  fake::define(&total_first_device, 6, true, [](const std::vector<void*>& p, int part) {
    float sum = 0;
    const std::int32_t *label = as<std::int32_t>(p[1]), *segment = as<std::int32_t>(p[2]);
    for (int t = 1; t < kTokens; ++t) {
      if (label[t] >= 0 && segment[t] == segment[t - 1] && segment[t] >= 0) sum += as<float>(p[0])[t];
    }
    as<float>(p[5])[0] = part == 7 ? sum : -1e9f;
  });
  fake::define(&total_second_device, 6, true, [](const std::vector<void*>& p, int part) {
    as<float>(p[4])[0] = part == 9 ? as<float>(p[3])[0] * as<float>(p[5])[0] : -1e9f;
  });
  fake::define(&scatter_device, 3, false, [](const std::vector<void*>& p, int) {
    for (int t = 0; t < kTokens; ++t) as<float>(p[2])[as<std::int32_t>(p[0])[t]] += as<float>(p[1])[0];
  });
  fake::define(&descend_device, 4, false, [](const std::vector<void*>& p, int) {
    float sum = 0;
    for (int i = 0; i < kVocab; ++i) {
      as<float>(p[0])[i] -= as<float>(p[2])[0] * as<float>(p[1])[i];
      sum += as<float>(p[1])[i];
    }
    as<float>(p[3])[0] = sum;
  });
  fake::define(&pick_device, 3, false, [](const std::vector<void*>& p, int) {
    for (int i = 0; i < 2; ++i) as<float>(p[2])[i] = as<float>(p[0])[as<std::int32_t>(p[1])[i]];
  });
}

}  // namespace

const Program program = {
    .name = "toy",
    .isa = "sm_80",
    .tensors = tensors,
    .tensor_count = 13,
    .weight_count = 1,
    .kernels = kernels,
    .kernel_count = 5,
    .arena_bytes = 832,
    .scratch_offset = 768,
    .scratch_per_thread = 0,
    .scratch_shared = 64,
    .threads = 1,
    .seq_len = kTokens,
    .beta1 = 0.5,
    .beta2 = 0.75,
    .at = {ids, labels, segments, scale, loss, hyper, norm, rows, logits},
    .forward = &forward,
    .logits = &pick_logits,
    .backward = &backward,
    .update = &update,
};

/// There is no device to measure.
Peaks measure_peaks() { return {2e12, 1e12}; }

namespace {

Batch batch(std::int32_t first) {
  return {{first, 1, 2, 0}, {0, 1, 2, -100}, {0, 0, 0, 0}};
}

void show(const char* what, const std::vector<float>& values) {
  std::printf("%s", what);
  for (const float value : values) std::printf(" %g", static_cast<double>(value));
  std::printf("\n");
}

std::vector<float> values_of(Engine& engine, Row row) {
  std::vector<float> values(static_cast<std::size_t>(tensors[row].elements));
  engine.read(row, values.data());
  return values;
}

/// Everything that the face has: three kinds of walks, more micro-batches than slots, graphs used again, logits.
void whole(bool one_by_one) {
  Engine engine(program, 1, false, one_by_one);
  const float start[] = {10, 20, 30}, zero[] = {0, 0, 0};
  engine.write(table, start, 3);
  engine.write(parameters, zero, 3);
  std::printf("forward %g\n", engine.forward(batch(0)).loss);
  std::vector<float> two(2);
  engine.logits({2, 3}, two.data());
  show("logits", two);
  const std::vector<Batch> four = {batch(0), batch(1), batch(2), batch(0)};
  for (int i = 1; i <= 3; ++i) {
    const StepResult result = engine.step(four, {0.5, 0, 1, static_cast<double>(i)});
    std::printf("step %g %g\n", result.loss, result.norm);
  }
  show("parameters", values_of(engine, parameters));
  show("hyper", values_of(engine, hyper));
  std::printf("gradients %g\n", engine.gradients({batch(1)}).loss);
  show("sums", values_of(engine, gradients));
  for (const ProfileEntry& entry : engine.profile().read()) std::printf("%s %lld calls\n", entry.kernel->name, static_cast<long long>(entry.calls));
  engine.record(100);
  engine.step({batch(0)}, {0.5, 0, 1, 4});
  std::printf("traced %zu, dropped %zu\n", engine.trace().size(), engine.trace().dropped());
  const Memory memory = engine.memory();
  std::printf("arena %lld, weights %lld, allocations %lld\n", static_cast<long long>(memory.arena_used),
              static_cast<long long>(memory.weights_copied), static_cast<long long>(memory.step_allocations));
}

/// More values than a staging buffer holds.
void staged() {
  cuda::Staging staging(64);
  std::vector<std::int32_t> from(100), to(100), device(100);
  for (int i = 0; i < 100; ++i) from[static_cast<std::size_t>(i)] = 3 * i + 1;
  auto* const at = reinterpret_cast<std::byte*>(device.data());
  staging.upload(at, 400, "values", [&](std::byte* buffer, std::int64_t first, std::int64_t count) {
    std::memcpy(buffer, reinterpret_cast<std::byte*>(from.data()) + first, static_cast<std::size_t>(count));
  });
  staging.download(at, 400, "values", [&](const std::byte* buffer, std::int64_t first, std::int64_t count) {
    std::memcpy(reinterpret_cast<std::byte*>(to.data()) + first, buffer, static_cast<std::size_t>(count));
  });
  std::printf("staged %s\n", from == to ? "whole" : "changed");
}

/// Fails every call once, the first, the second, … until all succeed.
void failing(bool one_by_one) {
  int named = 0;
  for (int n = 1;; ++n) {
    fake::calls.clear();
    fake::failed.clear();
    fake::settings.fail_at = n;
    try {
      Engine engine(program, 1, false, one_by_one);
      const float start[] = {10, 20, 30};
      engine.write(table, start, 3);
      engine.step({batch(0)}, {0.5, 0, 1, 1});
      engine.step({batch(0), batch(1), batch(2)}, {0.5, 0, 1, 2});
      engine.logits({1}, std::vector<float>(2).data());
      values_of(engine, gradients);
    } catch (const std::exception& error) {
      const std::string text = error.what();
      const bool first = fake::failed == "cudaGetDeviceCount" && text.rfind("no CUDA device", 0) == 0;
      if (!first && text.rfind(fake::failed + " failed (", 0) != 0) std::printf("call %d, %s: %s\n", n, fake::failed.c_str(), error.what());
      ++named;
    }
    if (fake::alive != 0) std::printf("call %d, %s: %d things are left\n", n, fake::failed.c_str(), fake::alive);
    if (fake::failed.empty()) break;
  }
  std::printf("every failing call is named: %s\n", named > 100 ? "yes, more than 100" : "too few");
}

int run(const std::string& scenario, long number) {
  fake::settings.copies_first = number == 1;
  if (scenario == "graph") whole(false);
  if (scenario == "one-by-one") whole(true);
  if (scenario == "staging") staged();
  if (scenario == "failing") failing(number == 1);
  if (scenario == "old") fake::settings.capability = static_cast<int>(number);
  if (scenario == "small") fake::settings.free_bytes = static_cast<std::size_t>(number);
  if (scenario == "none" || scenario == "old" || scenario == "small") {
    try {
      Engine engine(program, 1, false, false);
      std::printf("started\n");
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
    }
    bool allocated = false;
    for (const std::string& call : fake::calls) allocated = allocated || call == "cudaMalloc";
    std::printf("%s\n", allocated ? "allocated" : "nothing allocated");
  }
  std::printf("%d left\n", fake::alive);
  return 0;
}

}  // namespace
}  // namespace pacac

int main(int count, char** words) {
  pacac::define_kernels();
  if (count > 1 && std::string(words[1]) == "standalone") {
    constexpr pacac::Product kNone[] = {{"", 0, 0, 0}};
    return pacac::check_main(count - 1, words + 1, pacac::program, kNone, 1, 100.0);
  }
  if (count > 1 && std::string(words[1]) == "none") fake::settings.devices = 0;
  return pacac::run(count > 1 ? words[1] : "", count > 2 ? std::atol(words[2]) : 0);
}
