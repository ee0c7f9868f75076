// The main function of a standalone program: fills the program from a reference file, checks it, times it, reports.
//
// It ends with 0 where all checks hold, 1 where one does not, 2 where the command line or the file is wrong, 3 without a device.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/runtime/engine.hpp"
#include "cuda/standalone/reference.hpp"
#include "cuda/standalone/report.hpp"
#include "cuda/standalone/vendor.hpp"

namespace pacac {

/// What the command line says.
struct CheckOptions {
  std::string file = "reference.bin";
  bool json = false;
  bool one_by_one = false;  ///< every kernel is waited for, so that a fault names it
  int steps = 20;           ///< to time
};

class Checker {
 public:
  /// @throws std::invalid_argument where the file is not this program's, before a device is looked for
  Checker(const Program& program, const Reference& reference, bool one_by_one)
      : program_(program),
        reference_(fitting(program, reference)),
        engine_(program, 1, false, one_by_one),
        steps_(reference.count("steps", 1000)),
        micro_batches_(reference.count("micro_batches", 1000)) {
    for (const auto& [name, entry] : reference.entries()) {
      const std::int32_t row = row_of(program, name);
      if (row < 0) continue;
      if (entry.type == DType::i32) {
        const std::vector<std::int32_t> values = reference.ints(name);
        engine_.write(row, values.data(), values.size());
      } else {
        engine_.load(row, reference.file(), entry.offset, entry.type == DType::bf16 ? FileType::bf16 : FileType::f32);
      }
    }
  }

  Engine& engine() { return engine_; }

  /// Gradients of the first step, then all steps' losses and gradient norms, as the reference has them.
  std::vector<Check> checks() {
    std::vector<Check> found;
    const std::vector<float> losses = reference_.floats("expect.losses"), norms = reference_.floats("expect.norms");
    if (losses.size() != steps_ || norms.size() != steps_) throw std::invalid_argument(reference_.file() + ": a step lacks its loss or norm");
    found.push_back(compared("loss without an update", engine_.gradients(batches(0)).loss, losses[0], "tolerance_loss"));
    for (const auto& [name, entry] : reference_.entries()) {
      constexpr const char* kPrefix = "expect.gradient.";
      if (name.rfind(kPrefix, 0) == 0) found.push_back(gradient(name.substr(std::strlen(kPrefix))));
    }
    for (std::size_t step = 0; step < steps_; ++step) {
      const StepResult result = engine_.step(batches(step), settings(static_cast<double>(step + 1)));
      const std::string at = " of step " + std::to_string(step + 1);
      found.push_back(compared("loss" + at, result.loss, losses[step], "tolerance_loss"));
      found.push_back(compared("gradient norm" + at, result.norm, norms[step], "tolerance_norm"));
    }
    return found;
  }

  /// The median of some steps, in seconds, and each kernel's time in them.
  std::pair<double, std::vector<KernelFigures>> times(int steps, const Product* products, std::size_t product_count) {
    const std::vector<Batch> batch = batches(0);
    const auto step = [&] { engine_.step(batch, settings(static_cast<double>(steps_ + 1))); };
    std::vector<double> seconds;
    for (int i = -3; i < steps; ++i) {
      step();
      if (i >= 0) seconds.push_back(engine_.last_seconds());
    }
    std::nth_element(seconds.begin(), seconds.begin() + steps / 2, seconds.end());
    // With events between kernels the step is a graph of its own, slower by some microseconds a kernel.
    const std::vector<ProfileEntry> before = engine_.profile().read();
    engine_.record(1);
    for (int i = 0; i < steps; ++i) step();
    engine_.record(0);
    const std::vector<ProfileEntry> after = engine_.profile().read();
    const Vendor vendor;
    std::vector<KernelFigures> kernels;
    for (std::size_t i = 0; i < after.size(); ++i) {
      const double calls = static_cast<double>(after[i].calls - before[i].calls);
      if (calls == 0) continue;
      const KernelEntry& kernel = *after[i].kernel;
      KernelFigures figures{kernel.name, calls / steps, (after[i].seconds - before[i].seconds) / calls, kernel.flops, kernel.bytes, -1};
      for (std::size_t j = 0; vendor.there() && j < product_count; ++j) {
        if (figures.name == products[j].symbol) figures.vendor_seconds = vendor.seconds(products[j]);
      }
      kernels.push_back(std::move(figures));
    }
    std::sort(kernels.begin(), kernels.end(),
              [](const auto& a, const auto& b) { return a.calls * a.seconds > b.calls * b.seconds; });
    return {seconds[static_cast<std::size_t>(steps / 2)], std::move(kernels)};
  }

  std::int64_t tokens() const {
    return static_cast<std::int64_t>(micro_batches_) * program_.tensors[program_.at.input_ids].elements;
  }

 private:
  static std::int32_t row_of(const Program& program, const std::string& name) {
    for (std::int32_t i = 0; i < program.tensor_count; ++i) {
      if (name == program.tensors[i].name) return i;
    }
    return -1;
  }

  /// The file, where all that it has for the program is of its sizes, and all weights are there.
  static const Reference& fitting(const Program& program, const Reference& reference) {
    for (std::int32_t i = 0; i < program.tensor_count; ++i) {
      const TensorEntry& tensor = program.tensors[i];
      const auto found = reference.entries().find(tensor.name);
      if (found == reference.entries().end()) {
        if (tensor.role == Role::weight) throw std::invalid_argument(reference.file() + ": there is no entry " + tensor.name);
        continue;
      }
      if (found->second.count != tensor.elements || (found->second.type == DType::i32) != (tensor.dtype == DType::i32)) {
        throw std::invalid_argument(reference.file() + ": " + tensor.name + " has " + std::to_string(found->second.count) +
                                    " values, or another type than the program's " + std::to_string(tensor.elements));
      }
    }
    return reference;
  }

  std::vector<Batch> batches(std::size_t step) const {
    std::vector<Batch> found;
    for (std::size_t i = 0; i < micro_batches_; ++i) {
      const std::string stem = "batch." + std::to_string(step) + "." + std::to_string(i) + ".";
      found.push_back({reference_.ints(stem + "input_ids"), reference_.ints(stem + "labels"), reference_.ints(stem + "segment_ids")});
    }
    return found;
  }

  StepSettings settings(double step) const {
    return {reference_.setting("learning_rate"), reference_.setting("weight_decay"), reference_.setting("max_grad_norm"), step};
  }

  Check compared(const std::string& what, double value, double wanted, const char* tolerance) const {
    return {what, value, wanted, std::abs(value - wanted) / std::max(std::abs(wanted), 1e-30), reference_.setting(tolerance)};
  }

  /// Error of a whole gradient: norm of the difference over norm of the reference. Value and reference are the norms.
  Check gradient(const std::string& name) {
    const std::vector<float> wanted = reference_.floats("expect.gradient." + name);
    const std::int32_t row = row_of(program_, name + ".grad");
    if (row < 0 || static_cast<std::int64_t>(wanted.size()) != program_.tensors[row].elements) {
      throw std::invalid_argument(reference_.file() + ": the program has no such gradient: " + name);
    }
    std::vector<float> values(wanted.size());
    engine_.read(row, values.data());
    double own = 0, reference = 0, difference = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double a = values[i], b = wanted[i];
      own += a * a;
      reference += b * b;
      difference += (a - b) * (a - b);
    }
    const double error = std::sqrt(difference) / std::max(std::sqrt(reference), 1e-30);
    return {"gradient of " + name, std::sqrt(own), std::sqrt(reference), error, reference_.setting("tolerance_gradient")};
  }

  const Program& program_;
  const Reference& reference_;
  Engine engine_;
  std::size_t steps_, micro_batches_;
};

/// @throws std::invalid_argument where the command line cannot be understood
inline CheckOptions options_of(int count, char** words) {
  CheckOptions options;
  bool named = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--json") {
      options.json = true;
    } else if (word == "--one-by-one") {
      options.one_by_one = true;
    } else if (word == "--steps" && i + 1 < count) {
      const char* const text = words[++i];
      const auto [end, error] = std::from_chars(text, text + std::strlen(text), options.steps);
      if (error != std::errc() || *end != 0 || options.steps < 1 || options.steps > 100000) {
        throw std::invalid_argument("--steps takes a number from 1 to 100000");
      }
    } else if (word[0] == '-' || named) {
      throw std::invalid_argument("usage: " + std::string(words[0]) + " [FILE] [--steps N] [--json] [--one-by-one]; FILE is reference.bin if not said");
    } else {
      options.file = word;
      named = true;
    }
  }
  return options;
}

/// Runs a step and its checks, prints what was found. @param flops of a micro-batch's step
inline int check_main(int count, char** words, const Program& program, const Product* products, std::size_t product_count, double flops) {
  constexpr int kFailed = 1, kWrong = 2, kNoDevice = 3;
  int at = kWrong;
  try {
    const CheckOptions options = options_of(count, words);
    const Reference reference(options.file);
    at = kNoDevice;  // from here on it is the device or the driver that fails
    Checker checker(program, reference, options.one_by_one);
    Report report;
    report.program = program.name;
    report.built_for = program.isa;
    report.device = checker.engine().device().name;
    report.capability = checker.engine().device().capability;
    report.checks = checker.checks();
    report.peaks = measure_peaks();
    report.steps = options.steps;
    report.tokens = checker.tokens();
    std::tie(report.step_seconds, report.kernels) = checker.times(options.steps, products, product_count);
    report.flops_per_step = flops * static_cast<double>(reference.count("micro_batches", 1000));
    if (options.json) std::fputs(json_of(report).c_str(), stdout);
    else print(report);
    return report.ok() ? 0 : kFailed;
  } catch (const std::invalid_argument& error) {  // what the caller gave
    std::fprintf(stderr, "error: %s\n", error.what());
    return kWrong;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return at;
  }
}

}  // namespace pacac
