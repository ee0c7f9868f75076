// What the device at hand reaches at best, measured: the rates that kernels' rates are set against.
#pragma once

namespace pacac {

struct Peaks {
  double flops;  ///< a second: mma.sync m16n8k16, bf16 operands, float32 sums, nothing but products
  double bytes;  ///< a second: read and written by a copy within device memory
};

/// @throws std::runtime_error with what CUDA says
Peaks measure_peaks();

}  // namespace pacac
