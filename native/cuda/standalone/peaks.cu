// Two kernels that do nothing else: products on tensor cores out of registers, and a copy of 16-byte pieces.
#include "cuda/standalone/peaks.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "cuda/ptx.cuh"

namespace pacac {
namespace {

constexpr int kThreads = 256;
constexpr int kChains = 8;      // independent sums of a warp: enough to hide an instruction's latency
constexpr int kRounds = 4096;
constexpr int kRepeats = 10;

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

__global__ void __launch_bounds__(kThreads) products(float* out) {
  float sums[kChains][4] = {};
  const std::uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, threadIdx.x + 2, threadIdx.x + 3};
  for (int round = 0; round < kRounds; ++round) {
#pragma unroll
    for (int chain = 0; chain < kChains; ++chain) multiply_add(sums[chain], a, a[0], a[1]);
  }
  float total = 0.0f;
  for (int chain = 0; chain < kChains; ++chain) total += sums[chain][0] + sums[chain][1] + sums[chain][2] + sums[chain][3];
  out[blockIdx.x * kThreads + threadIdx.x] = total;  // without it there would be nothing to compute
}

__global__ void __launch_bounds__(kThreads) copy(const uint4* from, uint4* to, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) to[i] = from[i];
}

/// Seconds of the fastest of some runs.
template <typename Launch>
double fastest(const Launch& launch) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "an event");
  check(cudaEventCreate(&end), "an event");
  float best = 0.0f;
  for (int i = 0; i < kRepeats; ++i) {
    check(cudaEventRecord(begin), "an event");
    launch();
    check(cudaGetLastError(), "measuring a peak");
    check(cudaEventRecord(end), "an event");
    check(cudaEventSynchronize(end), "measuring a peak");
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "a time");
    best = i == 0 ? milliseconds : std::min(best, milliseconds);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best * 1e-3;
}

}  // namespace

Peaks measure_peaks() {
  int device = 0, processors = 0;
  check(cudaGetDevice(&device), "the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "the device");
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "the device's memory");
  // Much more than any L2 cache, and little of what is left.
  const std::size_t bytes = std::min<std::size_t>(256u << 20, free / 4) / 16 * 16;
  char* memory = nullptr;
  check(cudaMalloc(&memory, 2 * bytes), "memory to copy");
  check(cudaMemset(memory, 0, 2 * bytes), "memory to copy");
  const int blocks = 8 * processors;
  const double product_seconds = fastest([&] { products<<<blocks, kThreads>>>(reinterpret_cast<float*>(memory)); });
  const double copy_seconds = fastest([&] {
    copy<<<blocks, kThreads>>>(reinterpret_cast<uint4*>(memory), reinterpret_cast<uint4*>(memory + bytes),
                               static_cast<std::int64_t>(bytes / 16));
  });
  check(cudaFree(memory), "memory to copy");
  const double warps = static_cast<double>(blocks) * kThreads / 32;
  return {warps * kRounds * kChains * (2.0 * 16 * 8 * 16) / product_seconds,
          2.0 * static_cast<double>(bytes) / copy_seconds};
}

}  // namespace pacac
