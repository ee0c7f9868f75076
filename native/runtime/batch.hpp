// What a step is given, and the checks of it: an id out of range would make a kernel read foreign memory.
#pragma once
#include <cstdint>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/program.hpp"

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

[[noreturn]] inline void fail(const TensorEntry& entry, const std::string& why) {
  throw std::invalid_argument("tensor " + std::string(entry.name) + " " + why);
}

inline void check_count(const TensorEntry& entry, std::size_t count) {
  if (count != static_cast<std::size_t>(entry.elements)) {
    fail(entry, "has " + std::to_string(entry.elements) + " values, got " + std::to_string(count));
  }
}

/// Integers index other tensors. @throws std::invalid_argument where one is not in [least, limit)
inline void check_values(const TensorEntry& entry, const std::int32_t* values, std::int32_t least) {
  if (entry.limit == 0) return;
  for (std::int64_t i = 0; i < entry.elements; ++i) {
    if (values[i] >= entry.limit || values[i] < least) {
      fail(entry, "cannot hold " + std::to_string(values[i]) + " (at " + std::to_string(i) +
                      "): values are below " + std::to_string(entry.limit));
    }
  }
}

/// @throws std::invalid_argument where lengths or ids do not fit the program
inline void check_batch(const Program& program, const Batch& batch) {
  constexpr std::int32_t any = INT32_MIN;
  const auto check = [&](std::int32_t index, const std::vector<std::int32_t>& values, std::int32_t least) {
    const TensorEntry& entry = program.tensors[index];
    check_count(entry, values.size());
    check_values(entry, values.data(), least);
  };
  check(program.at.input_ids, batch.input_ids, 0);
  check(program.at.labels, batch.labels, any);
  check(program.at.segment_ids, batch.segment_ids, any);
}

/// One over the number of supervised positions: t counts where its label does and t-1 lies in the same row and document.
inline float scale_of(const Program& program, const Batch* batches, std::size_t count) {
  std::int64_t supervised = 0;
  for (std::size_t b = 0; b < count; ++b) {
    const std::vector<std::int32_t>&labels = batches[b].labels, &segments = batches[b].segment_ids;
    for (std::size_t t = 1; t < labels.size(); ++t) {
      const bool inside = t % static_cast<std::size_t>(program.seq_len) != 0 && segments[t] >= 0 &&
                          segments[t] == segments[t - 1];
      supervised += inside && labels[t] >= 0 ? 1 : 0;
    }
  }
  return supervised == 0 ? 0.0f : static_cast<float>(1.0 / static_cast<double>(supervised));
}

}  // namespace pacac
