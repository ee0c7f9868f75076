// Vec for any processor: four lanes in the compilers' portable vector type, which becomes whatever the base
// instruction set has, scalars at worst. No operation here depends on the processor.
#pragma once

namespace pacac {

typedef float PlainFloats __attribute__((vector_size(16)));
typedef std::int32_t PlainInts __attribute__((vector_size(16)));

struct Vec {
  static constexpr int lanes = 4;
  PlainFloats v;
};

inline Vec broadcast(float x) { return {PlainFloats{x, x, x, x}}; }
inline Vec zero() { return broadcast(0.0f); }

inline Vec load(const float* p) {
  Vec result;
  std::memcpy(&result.v, p, sizeof result.v);
  return result;
}
inline Vec load(const bf16* p) {
  return {PlainFloats{to_float(p[0]), to_float(p[1]), to_float(p[2]), to_float(p[3])}};
}
template <class T>
inline Vec load_partial(const T* p, int n) {
  Vec result = zero();
  for (int i = 0; i < Vec::lanes; i++) {
    if (i < n) result.v[i] = to_float(p[i]);
  }
  return result;
}
inline void store(float* p, Vec a) { std::memcpy(p, &a.v, sizeof a.v); }
inline void store(bf16* p, Vec a) {
  for (int i = 0; i < Vec::lanes; i++) p[i] = round_to<bf16>(a.v[i]);
}
template <class T>
inline void stream(T* p, Vec a) {
  store(p, a);
}
inline void end_streams() {}
template <class T>
inline void store_partial(T* p, Vec a, int n) {
  for (int i = 0; i < Vec::lanes; i++) {
    if (i < n) p[i] = round_to<T>(a.v[i]);
  }
}

inline Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
inline Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }
inline Vec min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
inline Vec sqrt(Vec a) {
  for (int i = 0; i < Vec::lanes; i++) a.v[i] = std::sqrt(a.v[i]);
  return a;
}
inline float sum(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
inline float max_of(Vec a) {
  const float x = a.v[0] > a.v[2] ? a.v[0] : a.v[2], y = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return x > y ? x : y;
}

/// Adding and taking off 1.5 * 2^23 leaves the nearest integer, for |a| < 2^22.
inline Vec round_even(Vec a) {
  const Vec magic = broadcast(12582912.0f);
  return (a + magic) - magic;
}
/// a * 2^n for integers n in [-252, 254], in two steps so that neither factor leaves the range of float32.
inline Vec times_power_of_two(Vec a, Vec n) {
  const Vec magic = broadcast(12582912.0f);
  PlainInts whole;
  const PlainFloats biased = n.v + magic.v;
  std::memcpy(&whole, &biased, sizeof whole);
  whole -= 0x4b400000;  // the bits of the magic number
  const PlainInts half = whole >> 1, first = (half + 127) << 23, second = (whole - half + 127) << 23;
  Vec x, y;
  std::memcpy(&x.v, &first, sizeof first);
  std::memcpy(&y.v, &second, sizeof second);
  return a * x * y;
}

/// out[j] lane i = row[i] lane j.
inline void transpose(const Vec (&row)[Vec::lanes], Vec (&out)[Vec::lanes]) {
  for (int j = 0; j < Vec::lanes; j++) {
    for (int i = 0; i < Vec::lanes; i++) out[j].v[i] = row[i].v[j];
  }
}

inline Vec load_pairs(const bf16* p) {
  Vec result;
  std::memcpy(&result.v, p, sizeof result.v);
  return result;
}
inline Vec first_of_pairs(Vec a) {
  PlainInts bits;
  std::memcpy(&bits, &a.v, sizeof bits);
  bits <<= 16;
  std::memcpy(&a.v, &bits, sizeof bits);
  return a;
}
inline Vec second_of_pairs(Vec a) {
  PlainInts bits;
  std::memcpy(&bits, &a.v, sizeof bits);
  bits &= ~0xffff;
  std::memcpy(&a.v, &bits, sizeof bits);
  return a;
}

inline Vec join_pairs(Vec first, Vec second) {
  typedef std::uint32_t Bits __attribute__((vector_size(16)));
  Bits lower, upper;
  std::memcpy(&lower, &first.v, sizeof lower);
  std::memcpy(&upper, &second.v, sizeof upper);
  const Bits joined = (lower >> 16) | (upper & 0xffff0000u);
  std::memcpy(&first.v, &joined, sizeof joined);
  return first;
}

}  // namespace pacac
