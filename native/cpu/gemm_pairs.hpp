// Operands of a matrix product (gemm.hpp) as pairs of bf16, for processors that multiply and add two of them in one step.
//
// A packed float holds the values of k and k + 1 for an even k, the first in its lower half; beyond the last k are zeros, up to
// whole steps of the micro-kernel (pairs_of).
// A, float32 or bf16, is rounded to bf16 while it is packed; W is bf16 already; sums are float32.
//
// A bf16 column of W is too coarse for small updates, so PaCA's columns are not patched. Forward, the contraction gets `rank`
// more steps: y = [x | x_p] [W | scale D]ᵀ. Backward, scale dy D is taken beside dx, and added to its columns. D is rounded by itself.
#pragma once
#include "cpu/gemm_visit.hpp"

namespace pacac {

/// to[i] = from[i] as bf16, i < n.
inline void round_row(bf16* to, const float* from, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + Vec::lanes <= n; i += Vec::lanes) store(to + i, load(from + i));
  if (i < n) store_partial(to + i, load_partial(from + i, static_cast<int>(n - i)), static_cast<int>(n - i));
}
inline void round_row(bf16* to, const bf16* from, std::int64_t n) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(bf16));
}

/// Where the further steps of an extended contraction begin: behind K, at a pair's first.
constexpr std::int64_t extension_of(std::int64_t K) { return (K + 1) / 2 * 2; }

/// How many of the steps [k, k + deep) lie below `end`.
inline std::int64_t steps_below(std::int64_t end, std::int64_t k, std::int64_t deep) {
  return end <= k ? 0 : smaller(end - k, deep);
}

/// Lines of a panel beyond the last of `deep` values of k become zeros.
template <int NV>
inline void end_panel(float* panel, std::int64_t deep) {
  for (std::int64_t line = (deep + 1) / 2; line < pairs_of(deep); line++) {
    for (int v = 0; v < NV; v++) store(panel + (line * NV + v) * Vec::lanes, zero());
  }
}

/// The contraction ends at K.
struct NoExtension {
  template <class E>
  void row(bf16*, const E*, std::int64_t, std::int64_t) const {}
  template <int NV>
  void panel(float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t) const {}
};

/// Of A: step extension_of(K) + j holds from[index[j]], j < rank.
template <std::int64_t K, std::int64_t rank>
struct ChosenColumns {
  const std::int32_t* index;
  template <class E>
  void row(bf16* to, const E* from, std::int64_t k, std::int64_t deep) const {
    constexpr std::int64_t first = extension_of(K);
    for (std::int64_t step = k < first ? first : k; step < k + deep; step++) {
      to[step - k] = round_to<bf16>(to_float(from[index[step - first]]));
    }
  }
};

/// A[m,k] = from[row(m) * stride + k] for k < K, then the extension. `rows`: row(m) = rows[m]; none: row(m) = m.
///
/// Rows lie one behind the other; for tile registers the rows of a tile do, tile by tile along k, so that a strip is read in the order
/// of its addresses.
template <class T, std::int64_t K, std::int64_t stride, class E, class Extension = NoExtension>
struct RowsPaired {
  const E* from;
  const std::int32_t* rows = nullptr;
  Extension extension{};
  static constexpr bool kInPlace = false;
  static constexpr std::int64_t kRowStep = T::kInTiles ? kPairsTogether : T::steps(T::KC) + kRowPadding, kStep = 1;
  static constexpr std::int64_t kTileStep = T::MR * kPairsTogether;
  static constexpr std::int64_t strip_step(std::int64_t) { return T::MR * (T::kInTiles ? T::steps(T::KC) : kRowStep); }
  [[gnu::noinline]] const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    for (std::int64_t i = 0; i < high; i++) {
      const E* const source = from + (rows == nullptr ? m + i : rows[m + i]) * stride;
      float* const row = to + i / T::MR * strip_step(deep) + i % T::MR * kRowStep;
      if constexpr (T::kInTiles) row_in_tiles(row, source, k, deep);
      else whole_row(reinterpret_cast<bf16*>(row), source, k, k, deep);
    }
    return to;
  }
  /// Values of k in [begin, k + deep) and the zeros behind them.
  void whole_row(bf16* row, const E* source, std::int64_t begin, std::int64_t k, std::int64_t deep) const {
    const std::int64_t ahead = begin - k, own = steps_below(K, begin, deep - ahead);
    if (own > 0) round_row(row, source + begin, own);
    if (own % 2 != 0) row[own] = bf16{0};
    extension.row(row, source, begin, deep - ahead);
    for (std::int64_t beyond = deep - ahead; beyond < 2 * pairs_of(deep) - ahead; beyond++) row[beyond] = bf16{0};
  }
  void row_in_tiles(float* row, const E* source, std::int64_t k, std::int64_t deep) const {
    constexpr std::int64_t kWide = 2 * kPairsTogether;
    const std::int64_t whole = steps_below(K, k, deep) / kWide, all = pairs_of(deep) / kPairsTogether;
    for (std::int64_t step = 0; step < whole; step++, row += kTileStep) store(row, pairs_along(source + k + step * kWide));
    if (whole == all) return;
    bf16 rest[2 * T::steps(T::KC)];
    whole_row(rest, source, k + whole * kWide, k, deep);
    for (std::int64_t step = whole; step < all; step++, row += kTileStep) {
      std::memcpy(row, rest + (step - whole) * kWide, kWide * sizeof(bf16));
    }
  }
};

/// As RowsPaired, of bf16 rows that tile registers load from where they lie, whole tiles along k and across rows: the extension alone
/// is packed.
template <class T, std::int64_t K, class Extension = NoExtension>
struct RowsLoaded {
  const bf16* from;
  Extension extension{};
  static constexpr bool kInPlace = true;
  static constexpr std::int64_t kWide = 2 * kPairsTogether;
  static_assert(T::kInTiles && K % kWide == 0 && (T::KC % kWide == 0 || T::KC >= K), "slices are whole tiles");
  const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    const std::int64_t own = steps_below(K, k, deep), step = pairs_of(deep - own);
    if (own < deep) {
      for (std::int64_t i = 0; i < high; i++) {
        float* const row = to + i * step;
        std::memset(row, 0, static_cast<std::size_t>(step) * sizeof(float));
        extension.row(reinterpret_cast<bf16*>(row), from + (m + i) * K, k + own, deep - own);
      }
    }
    return reinterpret_cast<const float*>(from + m * K + k);
  }
  TileStrip strip(const float* block, const float* packed, std::int64_t i, std::int64_t k, std::int64_t deep) const {
    const std::int64_t own = steps_below(K, k, deep), step = pairs_of(deep - own);
    return {{block + i * T::MR * (K / 2), K / 2, kPairsTogether, own / kWide},
            {packed + i * T::MR * step, step, kPairsTogether, step / kPairsTogether}};
  }
  /// Asks for part of the block.
  void fetch(std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep, Share share) const {
    fetch_rows(from, m * K + k, K, high, deep, share);
  }
};

/// As RowsLoaded, of rows `stride` values apart that end in zeros up to whole tiles along k. As many rows exist as whole tiles have.
template <class T, std::int64_t stride>
struct RowsPadded {
  const bf16* from;
  static constexpr bool kInPlace = true;
  static_assert(T::kInTiles && stride % 2 == 0);
  const float* block(float*, std::int64_t m, std::int64_t, std::int64_t k, std::int64_t) const {
    return reinterpret_cast<const float*>(from + m * stride + k);
  }
  TileStrip strip(const float* block, const float*, std::int64_t i, std::int64_t, std::int64_t deep) const {
    return {{block + i * T::MR * (stride / 2), stride / 2, kPairsTogether, pairs_of(deep) / kPairsTogether}, {}};
  }
  void fetch(std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep, Share share) const {
    fetch_rows(from, m * stride + k, stride, high, deep, share);
  }
};

/// Rows that RowsPaired::block() packed before, all of k at once: strip after strip, the first that of row 0.
template <class Rows, class T>
struct RowsPacked {
  const float* strips;
  static constexpr bool kInPlace = true;
  static constexpr std::int64_t kRowStep = Rows::kRowStep, kStep = Rows::kStep, kTileStep = Rows::kTileStep;
  static constexpr std::int64_t strip_step(std::int64_t deep) { return Rows::strip_step(deep); }
  const float* block(float*, std::int64_t m, std::int64_t, std::int64_t, std::int64_t deep) const {
    return strips + m / T::MR * strip_step(deep);
  }
};

/// The `M` rows of a row-major matrix of K columns as A.
template <class T, std::int64_t M, std::int64_t K, class E, class Extension = NoExtension>
auto paired_rows_of(const E* from, Extension extension = {}) {
  if constexpr (T::kInTiles && std::is_same_v<E, bf16> && M % 16 == 0 && K % (2 * kPairsTogether) == 0) {
    return RowsLoaded<T, K, Extension>{from, extension};
  } else {
    return RowsPaired<T, K, K, E, Extension>{from, nullptr, extension};
  }
}

/// Of B: step extension_of(K) + j holds scale * delta[n,j], delta [O, rank].
template <std::int64_t K, std::int64_t rank>
struct DeltaColumns {
  const float* delta;
  float scale;
  template <int NV>
  void panel(float* to, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    constexpr std::int64_t first = extension_of(K), NR = NV * Vec::lanes;
    for (std::int64_t step = k < first ? first : k; step < k + deep; step += 2) {
      float* const line = to + (step - k) / 2 * NR;
      for (int v = 0; v < NV; v++) store(line + v * Vec::lanes, zero());
      bf16* const pairs = reinterpret_cast<bf16*>(line);
      const float* const column = delta + n * rank + (step - first);
      const bool both = step + 1 < first + rank;
      for (std::int64_t i = 0; i < wide; i++) {
        pairs[2 * i] = round_to<bf16>(scale * column[i * rank]);
        if (both) pairs[2 * i + 1] = round_to<bf16>(scale * column[i * rank + 1]);
      }
    }
  }
};

/// B[k,n] = from[n * K + k] for k < K, then the extension. Pairs stay together while they are transposed.
template <std::int64_t K, class Extension = NoExtension>
struct TransposedPairs {
  const bf16* from;
  Extension extension{};
  template <int NV>
  [[gnu::noinline]] void pack(float* panel, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    constexpr int L = Vec::lanes, NR = NV * L;
    const std::int64_t own = steps_below(K, k, deep);
    for (int v = 0; v < NV; v++) {
      const std::int64_t left = wide - v * L;
      const int rows = left >= L ? L : left > 0 ? static_cast<int>(left) : 0;
      lanes(panel + v * L, NR, from + (n + v * L) * K + k, own, rows);
    }
    extension.template panel<NV>(panel, k, deep, n, wide);
    end_panel<NV>(panel, deep);
  }
  /// Asks for part of what pack() will read.
  template <int NV>
  void fetch(std::int64_t k, std::int64_t deep, std::int64_t n, Share share) const {
    const std::int64_t own = steps_below(K, k, deep);
    if (own > 0) fetch_rows(from, n * K + k, K, NV * Vec::lanes, own, share);
  }
  /// One vector of columns, `own` steps.
  static void lanes(float* panel, int NR, const bf16* source, std::int64_t own, int rows) {
    constexpr int L = Vec::lanes;
    std::int64_t k = 0;
    for (; k + 2 * L <= own; k += 2 * L) {
      Vec row[L], out[L];
      for (int i = 0; i < L; i++) row[i] = i < rows ? load_pairs(source + i * K + k) : zero();
      transpose(row, out);
      for (int j = 0; j < L; j++) store(panel + (k / 2 + j) * NR, out[j]);
    }
    for (; k < own; k += 2) {
      float* const line = panel + k / 2 * NR;
      store(line, zero());
      bf16* const pairs = reinterpret_cast<bf16*>(line);
      for (int i = 0; i < rows; i++) {
        pairs[2 * i] = source[i * K + k];
        if (k + 1 < own) pairs[2 * i + 1] = source[i * K + k + 1];
      }
    }
  }
};

/// B[k,n] = scale * from[k * stride + n]; bf16 as it is.
template <std::int64_t stride, class E>
struct StraightPairs {
  const E* from;
  float scale = 1.0f;
  template <int NV>
  [[gnu::noinline]] void pack(float* panel, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    constexpr int L = Vec::lanes, NR = NV * L;
    for (std::int64_t i = 0; i < deep; i += 2) {
      const E* const first = from + (k + i) * stride + n;
      for (int v = 0; v < NV; v++) {
        const std::int64_t left = wide - v * L;
        const Vec second = i + 1 < deep ? values(first + stride + v * L, left) : zero();
        store(panel + i / 2 * NR + v * L, join_pairs(values(first + v * L, left), second));
      }
    }
    end_panel<NV>(panel, deep);
  }
  /// Asks for part of what pack() will read.
  template <int NV>
  void fetch(std::int64_t k, std::int64_t deep, std::int64_t n, Share share) const {
    fetch_rows(from, k * stride + n, stride, deep, NV * Vec::lanes, share);
  }
  /// Values of bf16, widened; 0 where none are left.
  Vec values(const E* p, std::int64_t left) const {
    if (left <= 0) return zero();
    const Vec value = left >= Vec::lanes ? load(p) : load_partial(p, static_cast<int>(left));
    if constexpr (std::is_same_v<E, bf16>) {
      return value;
    } else {
      bf16 rounded[Vec::lanes];
      store(rounded, value * broadcast(scale));
      return load(rounded);
    }
  }
};

/// C[m, index[n]] += sum: columns scattered into a wider matrix. C is float32.
template <std::int64_t N>
struct AddToColumns {
  float* to;
  const std::int32_t* index;
  void whole(const Place& at, Vec sum) const { part(at, sum, Vec::lanes); }
  void part(const Place& at, Vec sum, int n) const {
    float values[Vec::lanes];
    store(values, sum);
    for (int i = 0; i < n; i++) to[at.row * N + index[at.column + i]] += values[i];
  }
};

/// Beside dx [M, N]: dx[:, index] += scale dy delta, index sorted.
template <std::int64_t rank, std::int64_t N>
struct DeltaBeside {
  static constexpr std::int64_t kColumns = rank;
  StraightPairs<rank, float> b;
  AddToColumns<N> store;
  DeltaBeside(const float* delta, const std::int32_t* index, float scale, float* dx) : b{delta, scale}, store{dx, index} {}
  Worker::Range within(Worker::Range columns) const {
    std::int64_t begin = 0, end = rank;
    while (begin < end && store.index[begin] < columns.begin) begin++;
    while (begin < end && store.index[end - 1] >= columns.end) end--;
    return {begin, end};
  }
};

}  // namespace pacac
