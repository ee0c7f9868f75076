// See fake_cudart.hpp.
#include "fake_cudart.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace fake {

Settings settings;
std::vector<std::string> calls;
int alive = 0;
std::string failed;

namespace {

struct Op {
  enum Kind { work, record, wait } kind;
  std::function<void()> body;
  const void* event = nullptr;
  std::uint64_t number = 0;  ///< of the record that is made or waited for
};
struct Queued {
  int stream;
  Op op;
};
struct FakeStream {
  int index;
};
struct FakeEvent {
  std::uint64_t recorded = 0, done = 0;  ///< records queued and passed
  std::uint64_t at = 0;                  ///< when the last was passed, in ticks
  bool captured = false;                 ///< whether the last was recorded within the capture that goes on
};
struct Kernel {
  int pointers;
  bool part;
  std::function<void(std::vector<void*>, int)> body;
};

std::vector<Queued> queue;                  // of work that nobody has waited for
std::vector<Queued>* capture = nullptr;     // where work goes in its place
std::vector<int> joined;                    // streams that are captured: the first, and those that waited for captured events
std::map<const void*, Kernel> kernels;
int streams = 0;
std::uint64_t ticks = 0;                    // the clock: how much was done

cudaError_t called(const char* name) {
  calls.emplace_back(name);
  if (static_cast<int>(calls.size()) != settings.fail_at) return cudaSuccess;
  failed = name;
  return cudaErrorLaunchFailure;
}

#define FAKE(name)                                                  \
  do {                                                              \
    if (const cudaError_t status = called(#name)) return status;    \
  } while (false)

int index_of(cudaStream_t stream) { return reinterpret_cast<FakeStream*>(stream)->index; }

bool is_captured(int stream) {
  return capture != nullptr && std::find(joined.begin(), joined.end(), stream) != joined.end();
}

void enqueue(cudaStream_t stream, Op op) {
  const int index = index_of(stream);
  (is_captured(index) ? *capture : queue).push_back({index, std::move(op)});
}

/// Whether the first stream of a capture has waited for the last work of each of the others.
bool all_rejoined(const std::vector<Queued>& ops) {
  for (std::size_t i = 1; i < joined.size(); ++i) {
    const Queued* last = nullptr;
    bool rejoined = true;
    for (const Queued& own : ops) {
      if (own.stream == joined[i]) last = &own, rejoined = false;
      const bool same = last != nullptr && own.op.kind == Op::wait && last->op.kind == Op::record &&
                        own.op.event == last->op.event && own.op.number == last->op.number;
      if (own.stream == joined[0] && same) rejoined = true;
    }
    if (!rejoined) return false;
  }
  return true;
}

/// Runs all that is queued, the preferred stream as far as its waits let it.
void drain(std::vector<Queued> ops) {
  std::vector<bool> done(ops.size());
  for (std::size_t left = ops.size(); left > 0;) {
    const Queued* next = nullptr;
    std::set<int> blocked;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (done[i] || blocked.count(ops[i].stream) > 0) continue;
      const auto* const event = static_cast<const FakeEvent*>(ops[i].op.event);
      const bool held = ops[i].op.kind == Op::wait && event->done < ops[i].op.number;
      const bool ahead = next == nullptr || (settings.copies_first ? ops[i].stream > next->stream : ops[i].stream < next->stream);
      if (!held && ahead) next = &ops[i];
      blocked.insert(ops[i].stream);  // only the first of a stream may run
    }
    if (next == nullptr) std::abort();  // a deadlock
    if (next->op.kind == Op::record) {
      auto* const event = const_cast<FakeEvent*>(static_cast<const FakeEvent*>(next->op.event));
      event->done = std::max(event->done, next->op.number);
      event->at = ++ticks;
    } else if (next->op.body) {
      next->op.body();
      ++ticks;
    }
    done[static_cast<std::size_t>(next - ops.data())] = true;
    --left;
  }
}

void drain() {
  std::vector<Queued> ops;
  ops.swap(queue);
  drain(std::move(ops));
}

}  // namespace

void define(void (*function)(), int pointers, bool part, std::function<void(std::vector<void*>, int)> body) {
  kernels[reinterpret_cast<const void*>(function)] = {pointers, part, std::move(body)};
}

}  // namespace fake

using namespace fake;

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInsufficientDriver ? "CUDA driver version is insufficient for CUDA runtime version" : "a planted failure";
}
const char* cudaGetErrorName(cudaError_t) { return "cudaErrorLaunchFailure"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  FAKE(cudaGetDeviceCount);
  *count = settings.devices;
  return settings.devices == 0 ? cudaErrorInsufficientDriver : cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  FAKE(cudaGetDevice);
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  FAKE(cudaSetDevice);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  FAKE(cudaGetDeviceProperties);
  std::strcpy(properties->name, "Toy GPU");
  properties->major = settings.capability / 10;
  properties->minor = settings.capability % 10;
  properties->sharedMemPerBlockOptin = 99 * 1024;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  FAKE(cudaMemGetInfo);
  *free = settings.free_bytes;
  *total = 2 * settings.free_bytes;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  FAKE(cudaMalloc);
  *memory = std::malloc(bytes);
  ++alive;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  --alive;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  FAKE(cudaMallocHost);
  *memory = std::malloc(bytes);
  std::memset(*memory, 0xff, bytes);
  ++alive;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  FAKE(cudaStreamCreateWithFlags);
  *stream = reinterpret_cast<cudaStream_t>(new FakeStream{streams++});
  ++alive;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete reinterpret_cast<FakeStream*>(stream);
  --alive;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  FAKE(cudaStreamSynchronize);
  drain();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  FAKE(cudaStreamWaitEvent);
  const auto* const own = reinterpret_cast<FakeEvent*>(event);
  if (capture != nullptr) {
    const bool inside = is_captured(index_of(stream));
    if (inside && !own->captured) return cudaErrorStreamCaptureIsolation;
    if (!inside && own->captured) joined.push_back(index_of(stream));
  }
  enqueue(stream, {Op::wait, {}, own, own->recorded});
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  FAKE(cudaStreamBeginCapture);
  joined = {index_of(stream)};
  capture = new std::vector<Queued>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  const std::unique_ptr<std::vector<Queued>> ended(std::exchange(capture, nullptr));
  FAKE(cudaStreamEndCapture);
  if (!all_rejoined(*ended)) return cudaErrorStreamCaptureUnjoined;
  *graph = reinterpret_cast<cudaGraph_t>(new std::vector<Queued>(*ended));
  ++alive;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  FAKE(cudaEventCreateWithFlags);
  *event = reinterpret_cast<cudaEvent_t>(new FakeEvent());
  ++alive;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  drain();
  delete reinterpret_cast<FakeEvent*>(event);
  --alive;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  FAKE(cudaEventRecord);
  auto* const own = reinterpret_cast<FakeEvent*>(event);
  own->captured = is_captured(index_of(stream));
  enqueue(stream, {Op::record, {}, own, ++own->recorded});
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  FAKE(cudaEventRecordWithFlags);
  if ((flags == cudaEventRecordExternal) != is_captured(index_of(stream))) return cudaErrorInvalidValue;
  auto* const own = reinterpret_cast<FakeEvent*>(event);
  own->captured = is_captured(index_of(stream));
  enqueue(stream, {Op::record, {}, own, ++own->recorded});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  FAKE(cudaEventSynchronize);
  drain();
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  FAKE(cudaEventElapsedTime);
  const auto at = [](cudaEvent_t event) { return reinterpret_cast<FakeEvent*>(event)->at; };
  if (at(begin) == 0 || at(end) < at(begin)) return cudaErrorInvalidResourceHandle;
  *milliseconds = 0.25f * static_cast<float>(at(end) - at(begin));
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  FAKE(cudaMemcpyAsync);
  enqueue(stream, {Op::work, [=] { std::memcpy(to, from, bytes); }});
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  FAKE(cudaMemsetAsync);
  enqueue(stream, {Op::work, [=] { std::memset(to, value, bytes); }});
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* facts, const void* function) {
  FAKE(cudaFuncGetAttributes);
  if (kernels.count(function) == 0) return cudaErrorInvalidDeviceFunction;
  *facts = {};
  facts->maxThreadsPerBlock = 512;
  facts->maxDynamicSharedSizeBytes = 48 * 1024;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  FAKE(cudaFuncSetAttribute);
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* function, dim3, dim3, void** arguments, std::size_t, cudaStream_t stream) {
  FAKE(cudaLaunchKernel);
  const Kernel& kernel = kernels.at(function);
  std::vector<void*> pointers;
  for (int i = 0; i < kernel.pointers; ++i) pointers.push_back(*static_cast<void**>(arguments[i]));
  const int part = kernel.part ? *static_cast<int*>(arguments[kernel.pointers]) : -1;
  enqueue(stream, {Op::work, [=, &kernel] { kernel.body(pointers, part); }});
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  FAKE(cudaGraphInstantiateWithFlags);
  *executable = reinterpret_cast<cudaGraphExec_t>(new std::vector<Queued>(*reinterpret_cast<std::vector<Queued>*>(graph)));
  ++alive;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  FAKE(cudaGraphLaunch);
  const auto* const ops = reinterpret_cast<std::vector<Queued>*>(executable);
  // A replay waits for its own records, not for those of the replay before.
  enqueue(stream, {Op::work, [=] {
    for (const Queued& queued : *ops) {
      if (queued.op.kind == Op::record) const_cast<FakeEvent*>(static_cast<const FakeEvent*>(queued.op.event))->done = 0;
    }
    drain(*ops);
  }});
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<std::vector<Queued>*>(graph);
  --alive;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<std::vector<Queued>*>(executable);
  --alive;
  return cudaSuccess;
}

}  // extern "C"
