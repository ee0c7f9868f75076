// Operands that the tuner makes up for a kernel: how large they are, and what is in them before it runs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace pacac {

/// An operand as an order describes it (runner.cpp).
struct Operand {
  std::string dtype, start, fill;
  std::int64_t elements = 0, alias = -1, offset = 0;
  double a = 0, b = 0;
  std::int64_t bytes() const { return elements * (dtype == "bf16" ? 2 : 4); }
};

/// A number in [0, 1) from a counter (splitmix64).
inline double uniform(std::uint64_t counter) {
  std::uint64_t z = (counter + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

inline float widened(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

inline void put_float(const Operand& operand, std::byte* at, std::int64_t i, float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (operand.dtype == "bf16") {
    const auto half = static_cast<std::uint16_t>(bits >> 16);
    std::memcpy(at + 2 * i, &half, 2);
  } else {
    std::memcpy(at + 4 * i, &bits, 4);
  }
}

inline std::int32_t whole(const Operand& operand, std::int64_t i, std::uint64_t counter) {
  const auto n = static_cast<std::int64_t>(operand.a < 1 ? 1 : operand.a);
  if (operand.fill == "below") return static_cast<std::int32_t>(uniform(counter) * static_cast<double>(n));
  if (operand.fill == "sorted") return static_cast<std::int32_t>(i * n / operand.elements);
  if (operand.fill == "starts") return static_cast<std::int32_t>(i / n * n);
  if (operand.fill == "positions") return static_cast<std::int32_t>(i % n);
  throw std::invalid_argument("no such fill: " + operand.fill);
}

/// Values of an operand, the same from the same seed.
inline void fill(const Operand& operand, std::byte* at, std::uint64_t seed) {
  for (std::int64_t i = 0; i < operand.elements; ++i) {
    const std::uint64_t counter = seed + static_cast<std::uint64_t>(i);
    if (operand.dtype == "i32") {
      const std::int32_t value = whole(operand, i, counter);
      std::memcpy(at + 4 * i, &value, 4);
    } else {
      put_float(operand, at, i, static_cast<float>(operand.a + (operand.b - operand.a) * uniform(counter)));
    }
  }
}

}  // namespace pacac
