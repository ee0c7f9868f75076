// The one region of memory that a program computes in.
//
// Its size is known before the first byte is touched, and the system gives pages only as they are first written, so
// the plan's peak is also the process's. Fresh pages are zero: parameters, moments and gradients start from there.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace pacac {

/// Bytes rounded up to whole pages.
inline std::size_t whole_pages(std::int64_t bytes) {
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  return static_cast<std::size_t>((bytes + page - 1) / page * page);
}

/// An anonymous mapping, freed with the object.
class Region {
 public:
  Region() = default;
  /// @throws std::runtime_error where the system has no such memory
  explicit Region(std::int64_t bytes) : size_(whole_pages(bytes < 1 ? 1 : bytes)) {
    void* const start =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
      throw std::runtime_error("Cannot allocate " + std::to_string(bytes) +
                               " bytes: " + std::strerror(errno));
    }
    start_ = static_cast<std::byte*>(start);
#ifdef MADV_HUGEPAGE
    madvise(start_, size_, MADV_HUGEPAGE);  // a hint: fewer TLB misses in large products
#endif
  }
  Region(Region&& other) noexcept : start_(other.start_), size_(other.size_) {
    other.start_ = nullptr;
    other.size_ = 0;
  }
  Region& operator=(Region&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Region() {
    if (start_ != nullptr) munmap(start_, size_);
  }

  std::byte* data() const { return start_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* start_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pacac
