// Vec for 64-bit Arm (Advanced SIMD): four lanes, thirty-two registers.
#pragma once
#include <arm_neon.h>

namespace pacac {

struct Vec {
  static constexpr int lanes = 4;
  float32x4_t v;
};

inline Vec broadcast(float x) { return {vdupq_n_f32(x)}; }
inline Vec zero() { return broadcast(0.0f); }

inline Vec widen(uint16x4_t halves) { return {vreinterpretq_f32_u32(vshll_n_u16(halves, 16))}; }
/// Round to nearest, ties to even: add 0x7fff plus the lowest kept bit, then drop the lower half. NaN is made quiet instead.
inline uint16x4_t narrow(Vec a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
  const uint32x4_t lowest = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(lowest, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(a.v, a.v), rounded, quiet), 16);
}

inline Vec load(const float* p) { return {vld1q_f32(p)}; }
inline Vec load(const bf16* p) { return widen(vld1_u16(&p->bits)); }
template <class T>
inline Vec load_partial(const T* p, int n) {
  float values[4] = {};
  for (int i = 0; i < 4; i++) {
    if (i < n) values[i] = to_float(p[i]);
  }
  return load(values);
}
inline void store(float* p, Vec a) { vst1q_f32(p, a.v); }
inline void store(bf16* p, Vec a) { vst1_u16(&p->bits, narrow(a)); }
template <class T>
inline void stream(T* p, Vec a) {
  store(p, a);
}
inline void end_streams() {}
template <class T>
inline void store_partial(T* p, Vec a, int n) {
  T values[4];
  store(values, a);
  for (int i = 0; i < 4; i++) {
    if (i < n) p[i] = values[i];
  }
}

inline Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
inline float sum(Vec a) { return vaddvq_f32(a.v); }
inline float max_of(Vec a) { return vmaxvq_f32(a.v); }

inline Vec round_even(Vec a) { return {vrndnq_f32(a.v)}; }
/// a * 2^n for integers n in [-252, 254], in two steps so that neither factor leaves the range of float32.
inline Vec times_power_of_two(Vec a, Vec n) {
  const int32x4_t whole = vcvtq_s32_f32(n.v), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
  const int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
  const int32x4_t second = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
  return {vmulq_f32(vmulq_f32(a.v, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second))};
}

/// out[j] lane i = row[i] lane j.
inline void transpose(const Vec (&row)[Vec::lanes], Vec (&out)[Vec::lanes]) {
  const float32x4_t a = vzip1q_f32(row[0].v, row[2].v), b = vzip2q_f32(row[0].v, row[2].v);
  const float32x4_t c = vzip1q_f32(row[1].v, row[3].v), d = vzip2q_f32(row[1].v, row[3].v);
  out[0].v = vzip1q_f32(a, c);
  out[1].v = vzip2q_f32(a, c);
  out[2].v = vzip1q_f32(b, d);
  out[3].v = vzip2q_f32(b, d);
}

inline Vec load_pairs(const bf16* p) { return {vreinterpretq_f32_u16(vld1q_u16(&p->bits))}; }
inline Vec first_of_pairs(Vec a) { return {vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a.v), 16))}; }
inline Vec second_of_pairs(Vec a) {
  return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a.v), vdupq_n_u32(0xffff0000u)))};
}

inline Vec join_pairs(Vec first, Vec second) {
  return {vreinterpretq_f32_u32(vsriq_n_u32(vreinterpretq_u32_f32(second.v), vreinterpretq_u32_f32(first.v), 16))};
}

}  // namespace pacac
