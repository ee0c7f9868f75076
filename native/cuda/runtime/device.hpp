// The CUDA runtime with its errors checked and its handles owned, and the device that a program runs on.
//
// The runtime is linked statically and looks for the driver on its first call: an addon loads where there is none, and the
// first program that is made says so.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/program.hpp"

namespace pacac::cuda {

/// Throws where a call failed: the call, what it was about, the place in this runtime, and what CUDA says.
inline void check(cudaError_t status, const char* call, const char* about,
                  const std::source_location& at = std::source_location::current()) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is not fatal for the process does not show up in the next call again
  const char* const slash = std::strrchr(at.file_name(), '/');
  throw std::runtime_error(std::string(call, std::strcspn(call, "(")) + " failed (" + about + ", " +
                           (slash == nullptr ? at.file_name() : slash + 1) + ":" + std::to_string(at.line()) +
                           "): " + cudaGetErrorString(status) + " [" + cudaGetErrorName(status) + "]");
}

/// Every call of the runtime is made through this; `about` says what for.
#define PACAC_CUDA(call, about) ::pacac::cuda::check((call), #call, (about))

/// A handle that is destroyed with its owner. Destroying does not fail in a way that anyone could mend.
template <typename Handle, cudaError_t (*destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) destroy(handle_);
  }
  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;
using DeviceMemory = Owned<void*, cudaFree>;
using PinnedMemory = Owned<void*, cudaFreeHost>;

inline Stream make_stream() {
  cudaStream_t stream = nullptr;
  PACAC_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  return Stream(stream);
}

/// @param timed whether it is for measuring, and not for order alone
inline Event make_event(bool timed) {
  cudaEvent_t event = nullptr;
  PACAC_CUDA(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming), "an event");
  return Event(event);
}

/// Host memory that the device reads and writes by itself.
inline PinnedMemory make_pinned(std::int64_t bytes, const char* about) {
  void* memory = nullptr;
  PACAC_CUDA(cudaMallocHost(&memory, static_cast<std::size_t>(bytes)), about);
  return PinnedMemory(memory);
}

/// The device that a program runs on.
struct Device {
  int index = 0;
  std::string name;
  int capability = 0;            ///< 80 for sm_80
  std::int64_t shared_limit = 0; ///< bytes of shared memory that a block may be given
};

/// "12.34 GB", "5.67 MB", "890 bytes"
inline std::string sized(std::int64_t bytes) {
  char text[32];
  if (bytes < 1000000) std::snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(bytes));
  else std::snprintf(text, sizeof text, "%.2f %s", static_cast<double>(bytes) * (bytes < 1000000000 ? 1e-6 : 1e-9), bytes < 1000000000 ? "MB" : "GB");
  return text;
}

/// The number of an architecture's name: 80 of "sm_80".
inline int capability_of(const char* architecture) {
  const char* const digits = std::strpbrk(architecture, "0123456789");
  return digits == nullptr ? 0 : std::stoi(digits);
}

/// The current device, where there is one that runs the program's code.
/// @throws std::runtime_error "no CUDA device", or what the device lacks
inline Device open_device(const Program& program) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    throw std::runtime_error(std::string("no CUDA device (") +
                             (status == cudaSuccess ? "the driver lists none" : cudaGetErrorString(status)) + ")");
  }
  Device device;
  PACAC_CUDA(cudaGetDevice(&device.index), "the current device");
  PACAC_CUDA(cudaSetDevice(device.index), "the current device");
  cudaDeviceProp properties{};
  PACAC_CUDA(cudaGetDeviceProperties(&properties, device.index), "the current device");
  device.name = properties.name;
  device.capability = 10 * properties.major + properties.minor;
  device.shared_limit = static_cast<std::int64_t>(properties.sharedMemPerBlockOptin);
  if (device.capability < capability_of(program.isa)) {
    throw std::runtime_error("no CUDA device for this program: it is built for " + std::string(program.isa) +
                             " and newer, " + device.name + " is sm_" + std::to_string(device.capability));
  }
  return device;
}

/// Allocates on the device, after it has said that there is room.
/// @throws std::runtime_error with what is needed and what is free
inline DeviceMemory allocate(const Device& device, std::int64_t bytes) {
  std::size_t free = 0, total = 0;
  PACAC_CUDA(cudaMemGetInfo(&free, &total), "the device's memory");
  if (bytes > static_cast<std::int64_t>(free)) {
    throw std::runtime_error("the device is too small: the program needs " + sized(bytes) + ", " + device.name +
                             " has " + sized(static_cast<std::int64_t>(free)) + " free of " +
                             sized(static_cast<std::int64_t>(total)));
  }
  void* memory = nullptr;
  PACAC_CUDA(cudaMalloc(&memory, static_cast<std::size_t>(bytes)), "the program's memory");
  return DeviceMemory(memory);
}

/// Makes every kernel ready: its code is loaded, large shared memory is allowed, and what cannot be launched here is said now.
inline void prepare(const Program& program, const Device& device) {
  constexpr std::uint32_t kAlways = 48 * 1024;  // what a block gets without asking
  for (std::int32_t i = 0; i < program.kernel_count; ++i) {
    const KernelEntry& kernel = *program.kernels[i];
    for (std::int32_t j = 0; j < kernel.launch_count; ++j) {
      const Launch& launch = kernel.launches[j];
      const void* const function = reinterpret_cast<const void*>(launch.function);
      cudaFuncAttributes facts{};
      PACAC_CUDA(cudaFuncGetAttributes(&facts, function), kernel.name);
      const std::int64_t shared = static_cast<std::int64_t>(facts.sharedSizeBytes) + launch.shared;
      if (shared > device.shared_limit || static_cast<int>(launch.threads) > facts.maxThreadsPerBlock) {
        throw std::runtime_error("kernel " + std::string(kernel.name) + " does not fit " + device.name + ": a block has " +
                                 std::to_string(launch.threads) + " threads and " + std::to_string(shared) +
                                 " bytes of shared memory");
      }
      // Launches of one function may differ: it is allowed the most that any of them takes.
      if (launch.shared > kAlways && static_cast<int>(launch.shared) > facts.maxDynamicSharedSizeBytes) {
        PACAC_CUDA(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(launch.shared)),
                   kernel.name);
      }
    }
  }
}

}  // namespace pacac::cuda
