// Large copies between host and device through two pinned buffers: while one is filled or emptied, the other is on its way.
//
// Weights lie in memory-mapped files that the device cannot read, and most need converting anyway.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/runtime/device.hpp"

namespace pacac::cuda {

class Staging {
 public:
  /// @param bytes of a buffer, a multiple of 16
  explicit Staging(std::int64_t bytes = 4 << 20)
      : bytes_(bytes), stream_(make_stream()), memory_(make_pinned(2 * bytes, "the staging buffers")) {
    for (Event& event : done_) event = make_event(false);
  }

  /// Copies `bytes` bytes to the device; `fill(buffer, at, count)` writes bytes [at, at + count) of them. On return they are there.
  template <typename Fill>
  void upload(std::byte* to, std::int64_t bytes, const char* about, const Fill& fill) {
    each(bytes, [&](int turn, std::int64_t at, std::int64_t count) {
      PACAC_CUDA(cudaEventSynchronize(done_[turn].get()), about);  // the buffer's copy before
      fill(buffer(turn), at, count);
      PACAC_CUDA(cudaMemcpyAsync(to + at, buffer(turn), static_cast<std::size_t>(count), cudaMemcpyHostToDevice,
                                 stream_.get()),
                 about);
      PACAC_CUDA(cudaEventRecord(done_[turn].get(), stream_.get()), about);
    });
    PACAC_CUDA(cudaStreamSynchronize(stream_.get()), about);
  }

  /// Copies `bytes` bytes from the device; `take(buffer, at, count)` is given bytes [at, at + count) of them in order.
  template <typename Take>
  void download(const std::byte* from, std::int64_t bytes, const char* about, const Take& take) {
    std::int64_t last_at = 0, last_count = 0;
    int last = -1;
    const auto finish = [&] {
      if (last < 0) return;
      PACAC_CUDA(cudaEventSynchronize(done_[last].get()), about);
      take(buffer(last), last_at, last_count);
    };
    each(bytes, [&](int turn, std::int64_t at, std::int64_t count) {
      PACAC_CUDA(cudaMemcpyAsync(buffer(turn), from + at, static_cast<std::size_t>(count), cudaMemcpyDeviceToHost,
                                 stream_.get()),
                 about);
      PACAC_CUDA(cudaEventRecord(done_[turn].get(), stream_.get()), about);
      finish();  // the piece before, while this one is on its way
      last = turn, last_at = at, last_count = count;
    });
    finish();
  }

 private:
  std::byte* buffer(int turn) const { return static_cast<std::byte*>(memory_.get()) + turn * bytes_; }

  template <typename Piece>
  void each(std::int64_t bytes, const Piece& piece) const {
    int turn = 0;
    for (std::int64_t at = 0; at < bytes; at += bytes_, turn ^= 1) piece(turn, at, std::min(bytes_, bytes - at));
  }

  std::int64_t bytes_;
  Stream stream_;
  PinnedMemory memory_;
  Event done_[2];
};

}  // namespace pacac::cuda
