// Frozen weights: mapped from the model's file where its type is the program's, else converted once.
//
// A mapping is shared and read-only: several processes fine-tuning the same base hold it in memory once, and no
// kernel can ever write the base.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/arena.hpp"
#include "runtime/program.hpp"

namespace pacac {

/// safetensors' names of the types that weights may have.
enum class FileType : std::uint8_t { f32, bf16, f16 };

inline std::int64_t bytes_of(FileType type) { return type == FileType::f32 ? 4 : 2; }

inline float widen(bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Nearest even; NaN stays NaN.
inline bf16 narrow(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  }
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// IEEE half to float: normal numbers shift exponent and mantissa, subnormal ones are scaled by 2^-24.
inline float widen_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 31u, mantissa = half & 1023u;
  if (exponent == 0) {
    const float size = static_cast<float>(mantissa) * 0x1p-24f;
    return sign == 0 ? size : -size;
  }
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

/// Reads element i of possibly unaligned values of a file.
inline float element(const std::byte* from, FileType type, std::int64_t i) {
  if (type == FileType::f32) {
    float value;
    std::memcpy(&value, from + 4 * i, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, from + 2 * i, 2);
  return type == FileType::bf16 ? widen(bf16{bits}) : widen_half(bits);
}

/// Converts values of a file into a tensor of type f32 or bf16.
inline void convert(const std::byte* from, FileType type, std::int64_t count, DType to, void* out) {
  if (to == DType::f32 && type == FileType::f32) {
    std::memcpy(out, from, static_cast<std::size_t>(4 * count));
  } else if (to == DType::bf16 && type == FileType::bf16) {
    std::memcpy(out, from, static_cast<std::size_t>(2 * count));
  } else if (to == DType::f32) {
    for (std::int64_t i = 0; i < count; ++i) static_cast<float*>(out)[i] = element(from, type, i);
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      static_cast<bf16*>(out)[i] = narrow(element(from, type, i));
    }
  }
}

/// A range of a file, mapped read-only.
class FileRange {
 public:
  FileRange() = default;
  /// @throws std::runtime_error where the file is not there or ends early
  FileRange(const std::string& file, std::int64_t offset, std::int64_t bytes) {
    const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(file, std::strerror(errno));
    struct stat facts {};
    const bool known = fstat(descriptor, &facts) == 0;
    const bool inside = known && offset >= 0 && bytes > 0 && offset <= facts.st_size &&
                        bytes <= facts.st_size - offset;
    void* start = MAP_FAILED;
    const std::int64_t page = sysconf(_SC_PAGESIZE), skip = inside ? offset % page : 0;
    if (inside) {
      size_ = static_cast<std::size_t>(bytes + skip);
      start = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, offset - skip);
    }
    const int error = errno;
    close(descriptor);
    if (!inside) fail(file, "the file ends before the tensor does");
    if (start == MAP_FAILED) fail(file, std::strerror(error));
    start_ = static_cast<std::byte*>(start);
    data_ = start_ + skip;
  }
  FileRange(FileRange&& other) noexcept { swap(other); }
  FileRange& operator=(FileRange&& other) noexcept {
    swap(other);
    return *this;
  }
  ~FileRange() {
    if (start_ != nullptr) munmap(start_, size_);
  }

  const std::byte* data() const { return data_; }

 private:
  [[noreturn]] static void fail(const std::string& file, const char* why) {
    throw std::runtime_error("Cannot map \"" + file + "\": " + why);
  }
  void swap(FileRange& other) {
    std::swap(start_, other.start_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  std::byte* start_ = nullptr;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// One weight: a mapping of its own, or a converted copy.
class Weight {
 public:
  Weight() = default;
  /// @throws std::runtime_error where the file cannot be mapped or memory is short
  Weight(const std::string& file, std::int64_t offset, FileType type, const TensorEntry& tensor) {
    FileRange range(file, offset, tensor.elements * bytes_of(type));
    const bool same = (tensor.dtype == DType::f32 && type == FileType::f32) ||
                      (tensor.dtype == DType::bf16 && type == FileType::bf16);
    const auto address = reinterpret_cast<std::uintptr_t>(range.data());
    if (same && address % static_cast<std::uintptr_t>(bytes_of(tensor.dtype)) == 0) {
      range_ = std::move(range);
      return;
    }
    copy_ = Region(tensor.elements * bytes_of(tensor.dtype));
    convert(range.data(), type, tensor.elements, tensor.dtype, copy_.data());
  }
  /// A weight without a file, to be written.
  explicit Weight(const TensorEntry& tensor) : copy_(tensor.elements * bytes_of(tensor.dtype)) {}

  /// The values; only a copy may be written.
  std::byte* data() const {
    return range_.data() != nullptr ? const_cast<std::byte*>(range_.data()) : copy_.data();
  }
  bool mapped() const { return range_.data() != nullptr; }
  /// Bytes of memory of its own.
  std::int64_t owned() const { return static_cast<std::int64_t>(copy_.size()); }

 private:
  FileRange range_;
  Region copy_;
};

}  // namespace pacac
