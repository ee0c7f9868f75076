// Where everything of a program lies on the device: one allocation, its size known before.
//
//   [ arena as planned | weights | two slots of a micro-batch's inputs ]
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/runtime/device.hpp"
#include "runtime/program.hpp"

namespace pacac::cuda {

/// Bytes rounded up to what cudaMalloc aligns to: weights are read 16 bytes at a time, and by whole lines.
inline std::int64_t padded(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

inline std::int64_t bytes_of_tensor(const TensorEntry& entry) { return entry.elements * bytes_of(entry.dtype); }

/// Offsets from the allocation's start.
struct Layout {
  std::vector<std::int64_t> tensors;  ///< by row
  std::int64_t weights = 0;           ///< bytes of all weights
  std::int64_t slots = 0;             ///< the first slot
  std::int64_t slot_bytes = 0;
  std::int64_t bytes = 0;             ///< of all
};

/// The inputs of a micro-batch, in their order in a slot.
struct Inputs {
  std::int32_t row[4];
  explicit Inputs(const Program& program)
      : row{program.at.input_ids, program.at.labels, program.at.segment_ids, program.at.loss_scale} {}
};

inline Layout layout_of(const Program& program) {
  Layout layout;
  std::int64_t top = padded(program.arena_bytes);
  for (std::int32_t i = 0; i < program.tensor_count; ++i) {
    const TensorEntry& entry = program.tensors[i];
    if (entry.role != Role::weight) {
      layout.tensors.push_back(entry.place);
      continue;
    }
    layout.tensors.push_back(top);
    top += padded(bytes_of_tensor(entry));
  }
  layout.weights = top - padded(program.arena_bytes);
  layout.slots = top;
  for (const std::int32_t row : Inputs(program).row) {
    if (row >= 0) layout.slot_bytes += padded(bytes_of_tensor(program.tensors[row]));
  }
  layout.bytes = top + 2 * layout.slot_bytes;
  return layout;
}

}  // namespace pacac::cuda
