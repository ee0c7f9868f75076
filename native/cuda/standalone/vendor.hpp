// The same matrix products by cuBLASLt, where its header was there to compile and its library is there to load.
//
// The library is loaded by name, so that the program needs nothing but nvcc to be built.
#pragma once
#include <cstdint>

#if defined(__has_include)
#if __has_include(<cublasLt.h>)
#define PACAC_CUBLASLT 1
#include <cublasLt.h>
#include <dlfcn.h>
#endif
#endif

#include <algorithm>
#include <string>

#include "cuda/runtime/device.hpp"

namespace pacac {

/// A product C[m,n] = A[m,k] B[k,n] that a kernel computes (beside what is fused into it).
struct Product {
  const char* symbol;
  std::int64_t m, n, k;
};

#ifdef PACAC_CUBLASLT

/// Times products by cuBLASLt's first choice.
class Vendor {
 public:
  Vendor() {
    for (const char* name : {"libcublasLt.so", "libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"}) {
      library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library_ != nullptr) break;
    }
    const auto create = find<decltype(&cublasLtCreate)>("cublasLtCreate");
    if (create != nullptr && create(&handle_) != CUBLAS_STATUS_SUCCESS) handle_ = nullptr;
  }
  Vendor(const Vendor&) = delete;
  Vendor& operator=(const Vendor&) = delete;
  bool there() const { return handle_ != nullptr; }

  /// Seconds of one product of bf16 with float32 sums, the mean of some; negative where it cannot be had.
  double seconds(const Product& product) const {
    const std::size_t a = static_cast<std::size_t>(2 * product.m * product.k), b = static_cast<std::size_t>(2 * product.k * product.n);
    const std::size_t c = static_cast<std::size_t>(2 * product.m * product.n);
    std::size_t free = 0, total = 0;
    PACAC_CUDA(cudaMemGetInfo(&free, &total), "memory for cuBLASLt");
    if (a + b + c + kWorkspace + 1024 > free) return -1;
    void* raw = nullptr;
    PACAC_CUDA(cudaMalloc(&raw, a + b + c + kWorkspace + 1024), "memory for cuBLASLt");
    const cuda::DeviceMemory memory(raw);
    PACAC_CUDA(cudaMemset(raw, 0, a + b + c), "memory for cuBLASLt");
    char* const at_b = static_cast<char*>(raw) + (a + 255) / 256 * 256;
    char* const at_c = at_b + (b + 255) / 256 * 256;
    return time(product, raw, at_b, at_c, at_c + (c + 255) / 256 * 256);
  }

 private:
  static constexpr std::size_t kWorkspace = 32u << 20;
  static constexpr int kRepeats = 20;

  template <typename Function>
  Function find(const char* name) const {
    return library_ == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(library_, name));
  }

  double time(const Product& p, const void* a, const void* b, void* c, void* workspace) const {
    const auto describe = find<decltype(&cublasLtMatmulDescCreate)>("cublasLtMatmulDescCreate");
    const auto set = find<decltype(&cublasLtMatmulDescSetAttribute)>("cublasLtMatmulDescSetAttribute");
    const auto layout = find<decltype(&cublasLtMatrixLayoutCreate)>("cublasLtMatrixLayoutCreate");
    const auto prefer = find<decltype(&cublasLtMatmulPreferenceCreate)>("cublasLtMatmulPreferenceCreate");
    const auto limit = find<decltype(&cublasLtMatmulPreferenceSetAttribute)>("cublasLtMatmulPreferenceSetAttribute");
    const auto choose = find<decltype(&cublasLtMatmulAlgoGetHeuristic)>("cublasLtMatmulAlgoGetHeuristic");
    const auto multiply = find<decltype(&cublasLtMatmul)>("cublasLtMatmul");
    if (!describe || !set || !layout || !prefer || !limit || !choose || !multiply) return -1;
    // Column-major: Cᵀ[n,m] = Bᵀ Aᵀ, with B given as rows of its n columns, as weights lie.
    cublasLtMatmulDesc_t operation{};
    cublasLtMatrixLayout_t left{}, right{}, result{};
    cublasLtMatmulPreference_t preference{};
    cublasLtMatmulHeuristicResult_t found{};
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const std::size_t most = kWorkspace;
    int count = 0;
    const auto u = [](std::int64_t extent) { return static_cast<std::uint64_t>(extent); };
    const bool ready = describe(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
                       set(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed) == CUBLAS_STATUS_SUCCESS &&
                       layout(&left, CUDA_R_16BF, u(p.k), u(p.n), p.k) == CUBLAS_STATUS_SUCCESS &&
                       layout(&right, CUDA_R_16BF, u(p.k), u(p.m), p.k) == CUBLAS_STATUS_SUCCESS &&
                       layout(&result, CUDA_R_16BF, u(p.n), u(p.m), p.n) == CUBLAS_STATUS_SUCCESS &&
                       prefer(&preference) == CUBLAS_STATUS_SUCCESS &&
                       limit(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most) == CUBLAS_STATUS_SUCCESS &&
                       choose(handle_, operation, left, right, result, result, preference, 1, &found, &count) == CUBLAS_STATUS_SUCCESS;
    if (!ready || count == 0) return -1;  // descriptors are small and the process ends soon
    const float one = 1.0f, zero = 0.0f;
    const cuda::Event begin = cuda::make_event(true), end = cuda::make_event(true);
    for (int i = -2; i < kRepeats; ++i) {
      if (i == 0) PACAC_CUDA(cudaEventRecord(begin.get(), nullptr), "cuBLASLt");
      if (multiply(handle_, operation, &one, b, left, a, right, &zero, c, result, c, result, &found.algo, workspace,
                   kWorkspace, nullptr) != CUBLAS_STATUS_SUCCESS) {
        return -1;
      }
    }
    PACAC_CUDA(cudaEventRecord(end.get(), nullptr), "cuBLASLt");
    PACAC_CUDA(cudaEventSynchronize(end.get()), "cuBLASLt");
    float milliseconds = 0;
    PACAC_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "cuBLASLt");
    return static_cast<double>(milliseconds) * 1e-3 / kRepeats;
  }

  void* library_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
};

#else

/// There was no header to compile with.
class Vendor {
 public:
  bool there() const { return false; }
  double seconds(const Product&) const { return -1; }
};

#endif

}  // namespace pacac
