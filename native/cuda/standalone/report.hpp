// What a standalone program found, as text for a person and as JSON for `deno task cuda:report`.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "cuda/standalone/peaks.hpp"

namespace pacac {

/// A comparison with the reference.
struct Check {
  std::string what;
  double value, reference, error, limit;
  bool ok() const { return error <= limit; }  // NaN is not
};

/// A kernel's part of a step.
struct KernelFigures {
  std::string name;
  double calls;    ///< a step
  double seconds;  ///< of a call
  double flops, bytes;
  double vendor_seconds;  ///< of the same product by cuBLASLt; negative where it was not timed
};

struct Report {
  std::string program, built_for, device;
  int capability = 0;
  Peaks peaks{};
  std::vector<Check> checks;
  std::int64_t tokens = 0;   ///< of a step
  double step_seconds = 0;   ///< the median
  int steps = 0;             ///< timed
  double flops_per_step = 0;
  std::vector<KernelFigures> kernels;

  bool ok() const {
    for (const Check& check : checks) {
      if (!check.ok()) return false;
    }
    return !checks.empty();
  }
};

inline std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    char code[8];
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      std::snprintf(code, sizeof code, "\\u%04x", letter);
      out += code;
    } else {
      out += letter;
    }
  }
  return out + '"';
}

/// What is no number is null: JSON has no other word for it.
inline std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

inline std::string json_of(const Report& report) {
  std::string out = "{\"format\": \"pacac-cuda-report\", \"version\": 1,\n \"program\": " + json_text(report.program) +
                    ", \"builtFor\": " + json_text(report.built_for) + ", \"ok\": " + (report.ok() ? "true" : "false") +
                    ",\n \"device\": {\"name\": " + json_text(report.device) +
                    ", \"capability\": " + std::to_string(report.capability) + "},\n \"peaks\": {\"flopsPerSecond\": " +
                    json_number(report.peaks.flops) + ", \"bytesPerSecond\": " + json_number(report.peaks.bytes) +
                    "},\n \"step\": {\"tokens\": " + std::to_string(report.tokens) +
                    ", \"seconds\": " + json_number(report.step_seconds) + ", \"steps\": " + std::to_string(report.steps) +
                    ", \"flops\": " + json_number(report.flops_per_step) + "},\n \"checks\": [";
  for (std::size_t i = 0; i < report.checks.size(); ++i) {
    const Check& check = report.checks[i];
    out += std::string(i == 0 ? "\n" : ",\n") + "  {\"what\": " + json_text(check.what) +
           ", \"value\": " + json_number(check.value) + ", \"reference\": " + json_number(check.reference) +
           ", \"error\": " + json_number(check.error) + ", \"limit\": " + json_number(check.limit) +
           ", \"ok\": " + (check.ok() ? "true" : "false") + "}";
  }
  out += "],\n \"kernels\": [";
  for (std::size_t i = 0; i < report.kernels.size(); ++i) {
    const KernelFigures& kernel = report.kernels[i];
    out += std::string(i == 0 ? "\n" : ",\n") + "  {\"name\": " + json_text(kernel.name) +
           ", \"calls\": " + json_number(kernel.calls) + ", \"seconds\": " + json_number(kernel.seconds) +
           ", \"flops\": " + json_number(kernel.flops) + ", \"bytes\": " + json_number(kernel.bytes);
    if (kernel.vendor_seconds >= 0) out += ", \"vendorSeconds\": " + json_number(kernel.vendor_seconds);
    out += "}";
  }
  return out + "]}\n";
}

inline void print(const Report& report) {
  std::printf("%s, built for %s, on %s (sm_%d)\n", report.program.c_str(), report.built_for.c_str(),
              report.device.c_str(), report.capability);
  std::printf("measured peaks: %.1f TFLOP/s (mma.sync), %.0f GB/s (copy)\n\n", report.peaks.flops * 1e-12,
              report.peaks.bytes * 1e-9);
  std::size_t failed = 0;
  double worst = 0;
  for (const Check& check : report.checks) {
    if (check.ok()) {
      worst = std::max(worst, check.error / check.limit);
      continue;
    }
    ++failed;
    std::printf("FAILED %s: %.9g, reference %.9g, relative error %.3g, allowed %.3g\n", check.what.c_str(), check.value,
                check.reference, check.error, check.limit);
  }
  std::printf("%zu checks, %zu failed; the closest of the others is at %.0f %% of what is allowed\n\n",
              report.checks.size(), failed, 100 * worst);
  std::printf("step: %.3f ms (median of %d), %.0f tokens/s, %.1f TFLOP/s\n\n", 1e3 * report.step_seconds, report.steps,
              static_cast<double>(report.tokens) / report.step_seconds,
              report.flops_per_step / report.step_seconds * 1e-12);
  std::printf("%9s %6s %9s %9s %7s %9s  kernel\n", "us a call", "calls", "TFLOP/s", "GB/s", "of peak", "cuBLASLt");
  for (const KernelFigures& kernel : report.kernels) {
    const double floor = std::max(kernel.flops / report.peaks.flops, kernel.bytes / report.peaks.bytes);
    std::printf("%9.2f %6.0f %9.2f %9.1f %6.1f%% ", 1e6 * kernel.seconds, kernel.calls,
                kernel.flops / kernel.seconds * 1e-12, kernel.bytes / kernel.seconds * 1e-9,
                100 * floor / kernel.seconds);
    if (kernel.vendor_seconds >= 0) std::printf("%9.2f", 1e6 * kernel.vendor_seconds);
    else std::printf("%9s", "");
    std::printf("  %s\n", kernel.name.c_str());
  }
}

}  // namespace pacac
