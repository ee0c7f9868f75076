// Times of kernel calls on the device, by events between them: what profiles and traces are made of.
//
// In a graph the events are nodes of their own, so that times are those of a replayed step and not of a host that launches.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/runtime/device.hpp"
#include "runtime/profile.hpp"
#include "runtime/trace.hpp"

namespace pacac::cuda {

class Timeline {
 public:
  /// Forgets all calls; their events are used again.
  void clear() {
    calls_.clear();
    used_ = 0;
  }
  bool empty() const { return calls_.empty(); }

  /// Marks this point of the stream. @param captured whether the stream is being captured
  void mark(cudaStream_t stream, bool captured) {
    if (used_ == events_.size()) events_.push_back(make_event(true));
    const unsigned flags = captured ? cudaEventRecordExternal : cudaEventRecordDefault;
    PACAC_CUDA(cudaEventRecordWithFlags(events_[used_++].get(), stream, flags), "a time");
  }

  /// A call between the mark before and a new one.
  void add(const TracedCall& call, cudaStream_t stream, bool captured) {
    Call own{call.kernel, call.phase, {}, used_ - 1};
    std::copy_n(call.tensors, call.kernel->operands, own.tensors);
    calls_.push_back(own);
    mark(stream, captured);
  }

  /// Adds the times, once the stream has come to the last mark.
  void read(Profile& profile, Trace& trace) const {
    for (const Call& call : calls_) {
      const Moment begin = since_first(call.mark), end = since_first(call.mark + 1);
      const Span span{begin, end, end};
      profile.add(0, *call.kernel, span);
      if (trace.on()) trace.add(0, {call.kernel, call.phase, call.tensors}, span);
    }
  }

 private:
  struct Call {
    const KernelEntry* kernel;
    PhaseIndex phase;
    std::int32_t tensors[kMaxOperands];
    std::size_t mark;
  };

  /// Nanoseconds from the first mark.
  Moment since_first(std::size_t mark) const {
    float milliseconds = 0;
    PACAC_CUDA(cudaEventElapsedTime(&milliseconds, events_.front().get(), events_[mark].get()), "a time");
    return static_cast<Moment>(static_cast<double>(milliseconds) * 1e6);
  }

  std::vector<Event> events_;
  std::size_t used_ = 0;
  std::vector<Call> calls_;
};

}  // namespace pacac::cuda
