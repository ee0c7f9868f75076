// The operands of a matrix product (gemm.hpp): where A and B come from, and how they are laid out for the micro-kernel.
//
// A: the value of row r, step k of a strip is at [r * kRowStep + k * kStep]; strips are strip_step(deep) apart.
// float32 rows are read where they are; bf16 rows are widened; a transposed A is copied into strips [k][MR].
// B: panels [k][NR], widened, zero beyond the last column; PaCA's columns of a weight get scale * delta while at it.
#pragma once
#include "cpu/vec.hpp"

namespace pacac {

/// Floats between packed rows of A beyond their length, so that MR rows do not fall into one set of the L1 cache.
constexpr std::int64_t kRowPadding = 16;

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

/// A share of something: `index` of `count`.
struct Share {
  std::int64_t index, count;
};

/// Asks for a share of `rows` rows of `length` values, `stride` apart, to come into the L2 cache. They need not exist: no
/// address is refused.
template <class E>
inline void fetch_rows(const E* from, std::int64_t offset, std::int64_t stride, std::int64_t rows, std::int64_t length,
                       Share share) {
  constexpr std::int64_t kLine = 64 / sizeof(E);
  const std::int64_t lines = (length + kLine - 1) / kLine, all = rows * lines;
  const std::int64_t begin = all * share.index / share.count, end = all * (share.index + 1) / share.count;
  std::int64_t row = begin / lines, line = begin % lines;
  for (std::int64_t i = begin; i < end; i++) {
    const std::int64_t at = offset + row * stride + line * kLine;
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from) + static_cast<std::uintptr_t>(at) * sizeof(E)), 0, 2);
    if (++line == lines) {
      line = 0;
      row++;
    }
  }
}

/// to[i] = from[i] as float32, i < n.
template <class E>
inline void widen_row(float* to, const E* from, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + Vec::lanes <= n; i += Vec::lanes) store(to + i, load(from + i));
  if (i < n) store_partial(to + i, load_partial(from + i, static_cast<int>(n - i)), static_cast<int>(n - i));
}

/// A[m,k] = from[m * stride + k] of float32, read in place.
template <class T, std::int64_t stride>
struct RowsInPlace {
  const float* from;
  static constexpr bool kInPlace = true;
  static constexpr std::int64_t kRowStep = stride, kStep = 1;
  static constexpr std::int64_t strip_step(std::int64_t) { return T::MR * stride; }
  const float* block(float*, std::int64_t m, std::int64_t, std::int64_t k, std::int64_t) const {
    return from + m * stride + k;
  }
  /// Asks for part of the block.
  void fetch(std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep, Share share) const {
    fetch_rows(from, m * stride + k, stride, high, deep, share);
  }
};

/// A[m,k] = from[row(m) * stride + k], widened to float32. `rows`: row(m) = rows[m]; none: row(m) = m.
template <class T, std::int64_t stride, class E>
struct RowsWidened {
  const E* from;
  const std::int32_t* rows = nullptr;
  static constexpr bool kInPlace = false;
  static constexpr std::int64_t kRowStep = T::KC + kRowPadding, kStep = 1;
  static constexpr std::int64_t strip_step(std::int64_t) { return T::MR * kRowStep; }
  [[gnu::noinline]] const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    for (std::int64_t i = 0; i < high; i++) {
      const std::int64_t row = rows == nullptr ? m + i : rows[m + i];
      widen_row(to + i * kRowStep, from + row * stride + k, deep);
    }
    return to;
  }
};

/// The rows of a row-major matrix as A: in place where they are float32, widened where not.
template <class T, std::int64_t stride>
RowsInPlace<T, stride> rows_of(const float* from) {
  return {from};
}
template <class T, std::int64_t stride>
RowsWidened<T, stride, bf16> rows_of(const bf16* from) {
  return {from};
}

/// A[m,k] = from[k * stride + m] for m < `width`, in strips [k][MR]. Each k copies whole vectors; what falls beyond MR
/// is overwritten by the next k, and nothing beyond `width` is read.
template <class T, std::int64_t stride, class E>
struct ColumnsPacked {
  const E* from;
  std::int64_t width = stride;
  static constexpr bool kInPlace = false;
  static constexpr std::int64_t kRowStep = 1, kStep = T::MR;
  static constexpr std::int64_t strip_step(std::int64_t deep) { return T::MR * deep; }
  static constexpr int kVectors = (T::MR + Vec::lanes - 1) / Vec::lanes;
  [[gnu::noinline]] const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    for (std::int64_t i = 0; i < high; i += T::MR) {
      float* const strip = to + i * deep;
      const E* const source = from + k * stride + m + i;
      const std::int64_t left = width - (m + i);
      if (left >= kVectors * Vec::lanes) {
        for (std::int64_t j = 0; j < deep; j++) {
          for (int v = 0; v < kVectors; v++) {
            store(strip + j * T::MR + v * Vec::lanes, load(source + j * stride + v * Vec::lanes));
          }
        }
      } else {
        const std::int64_t rows = left < T::MR ? left : T::MR;
        for (std::int64_t j = 0; j < deep; j++) widen_row(strip + j * T::MR, source + j * stride, rows);
      }
    }
    return to;
  }
};

/// No columns to patch.
struct NoPatch {
  void transposed(float*, int, std::int64_t, std::int64_t, std::int64_t, std::int64_t) const {}
  void straight(float*, int, std::int64_t, std::int64_t, std::int64_t, std::int64_t) const {}
};

/// PaCA: We[o, index[j]] = W[o, index[j]] + scale * delta[o, j], delta [O, rank].
template <std::int64_t rank>
struct PacaPatch {
  const float* delta;
  const std::int32_t* index;
  float scale;
  /// Panel [k][NR] of Weᵀ: k runs over We's columns, the panel's columns over its rows.
  void transposed(float* panel, int NR, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    for (std::int64_t j = 0; j < rank; j++) {
      const std::int64_t at = index[j] - k;
      if (at < 0 || at >= deep) continue;
      for (std::int64_t i = 0; i < wide; i++) panel[at * NR + i] += scale * delta[(n + i) * rank + j];
    }
  }
  /// Panel [k][NR] of We: k runs over its rows, the panel's columns over its columns.
  void straight(float* panel, int NR, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    for (std::int64_t j = 0; j < rank; j++) {
      const std::int64_t at = index[j] - n;
      if (at < 0 || at >= wide) continue;
      for (std::int64_t i = 0; i < deep; i++) panel[i * NR + at] += scale * delta[(k + i) * rank + j];
    }
  }
};

/// B[k,n] = from[k * stride + n].
template <std::int64_t stride, class E, class Patch = NoPatch>
struct Straight {
  const E* from;
  Patch patch{};
  template <int NV>
  [[gnu::noinline]] void pack(float* panel, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    constexpr int NR = NV * Vec::lanes;
    const E* source = from + k * stride + n;
    if (wide == NR) {
      for (std::int64_t i = 0; i < deep; i++) {
        for (int v = 0; v < NV; v++) store(panel + i * NR + v * Vec::lanes, load(source + i * stride + v * Vec::lanes));
      }
    } else {
      for (std::int64_t i = 0; i < deep; i++) {
        for (int v = 0; v < NV; v++) store(panel + i * NR + v * Vec::lanes, zero());
        widen_row(panel + i * NR, source + i * stride, wide);
      }
    }
    patch.straight(panel, NR, k, deep, n, wide);
  }
  /// Asks for part of what pack() will read.
  template <int NV>
  void fetch(std::int64_t k, std::int64_t deep, std::int64_t n, Share share) const {
    fetch_rows(from, k * stride + n, stride, deep, NV * Vec::lanes, share);
  }
};

/// B[k,n] = from[n * stride + k], transposed in blocks.
template <std::int64_t stride, class E, class Patch = NoPatch>
struct Transposed {
  const E* from;
  Patch patch{};
  template <int NV>
  [[gnu::noinline]] void pack(float* panel, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    constexpr int L = Vec::lanes, NR = NV * L, W = kBlockColumns<E>;
    const E* const source = from + n * stride + k;
    std::int64_t done = 0;
    if (wide == NR) {
      for (; done + W <= deep; done += W) {
        for (int v = 0; v < NV; v++) {
          transpose_block(source + v * L * stride + done, stride, panel + done * NR + v * L, NR);
        }
      }
    }
    for (int v = 0; v < NV; v++) {
      const std::int64_t left = wide - v * L;
      const int rows = left >= L ? L : left > 0 ? static_cast<int>(left) : 0;
      rest(panel + v * L, NR, source + v * L * stride, done, deep, rows);
    }
    patch.transposed(panel, NR, k, deep, n, wide);
  }
  /// Asks for part of what pack() will read.
  template <int NV>
  void fetch(std::int64_t k, std::int64_t deep, std::int64_t n, Share share) const {
    fetch_rows(from, n * stride + k, stride, NV * Vec::lanes, deep, share);
  }
  /// Columns `done` … deep - 1 of one vector, with few rows or few columns.
  static void rest(float* panel, int NR, const E* source, std::int64_t done, std::int64_t deep, int rows) {
    std::int64_t i = done;
    for (; i + Vec::lanes <= deep; i += Vec::lanes) {
      Vec block[Vec::lanes];
      transpose_load(source + i, stride, rows, block);
      for (int j = 0; j < Vec::lanes; j++) store(panel + (i + j) * NR, block[j]);
    }
    for (; i < deep; i++) {
      store(panel + i * NR, zero());
      for (int j = 0; j < rows; j++) panel[i * NR + j] = to_float(source[j * stride + i]);
    }
  }
};

}  // namespace pacac
