// Where the sums of a matrix product (gemm.hpp) go, with what is fused behind it.
#pragma once
#include "cpu/vec.hpp"

namespace pacac {

/// Where a vector of sums stands, and whether it is of the first slice of K.
struct Place {
  std::int64_t row, column;
  bool first;
};

/// C[m,n] = sum (+ bias[n]) (+ residual[m,n]), row-major with N columns. Where K is cut into slices, C is float32 and
/// holds the sums so far. Bias and residual come in with the first slice, so the residual may be C itself. An operand of
/// type None is absent. With `streams` C is written past the caches, which read a line first that a store misses, and would keep it.
struct None {};
template <std::int64_t N, class E, class Residual = None, class Bias = None, bool streams = false>
struct StoreRows {
  static constexpr bool kStreams = streams;
  static_assert(!streams || N * sizeof(E) % 64 == 0, "rows of whole cache lines");
  E* to;
  const Residual* residual = nullptr;
  const Bias* bias = nullptr;

  /// Floats from row to row of C, where sums may be put there or added as they are; 0: not so.
  static constexpr std::int64_t kPlain =
      !streams && std::is_same_v<E, float> && std::is_same_v<Residual, None> && std::is_same_v<Bias, None> ? N : 0;
  static constexpr bool adds(const Place& at) { return !at.first; }

  const E* address(const Place& at) const { return to + at.row * N + at.column; }
  void whole(const Place& at, Vec sum) const {
    const std::int64_t i = at.row * N + at.column;
    if (!at.first) {
      sum = sum + load(to + i);
    } else {
      if constexpr (!std::is_same_v<Bias, None>) sum = sum + load(bias + at.column);
      if constexpr (!std::is_same_v<Residual, None>) sum = sum + load(residual + i);
    }
    if constexpr (streams) stream(to + i, sum);
    else store(to + i, sum);
  }
  void part(const Place& at, Vec sum, int n) const {
    const std::int64_t i = at.row * N + at.column;
    if (!at.first) {
      sum = sum + load_partial(to + i, n);
    } else {
      if constexpr (!std::is_same_v<Bias, None>) sum = sum + load_partial(bias + at.column, n);
      if constexpr (!std::is_same_v<Residual, None>) sum = sum + load_partial(residual + i, n);
    }
    store_partial(to + i, sum, n);
  }
};

/// C[m,n] += sum. C is float32.
template <std::int64_t N>
struct AddRows : StoreRows<N, float> {
  static constexpr bool adds(const Place&) { return true; }
  void whole(const Place& at, Vec sum) const { StoreRows<N, float>::whole({at.row, at.column, false}, sum); }
  void part(const Place& at, Vec sum, int n) const { StoreRows<N, float>::part({at.row, at.column, false}, sum, n); }
};

/// C[rows[m],n] += sum: rows scattered into a larger matrix. C is float32.
template <std::int64_t N>
struct AddScattered {
  float* to;
  const std::int32_t* rows;
  const float* address(const Place& at) const { return to + rows[at.row] * N + at.column; }
  void whole(const Place& at, Vec sum) const {
    float* const c = to + rows[at.row] * N + at.column;
    store(c, load(c) + sum);
  }
  void part(const Place& at, Vec sum, int n) const {
    float* const c = to + rows[at.row] * N + at.column;
    store_partial(c, load_partial(c, n) + sum, n);
  }
};

}  // namespace pacac
