// The micro-kernels of a matrix product (gemm.hpp): what is computed of one strip of A and one panel of B, in vectors or in tile registers.
#pragma once
#include "cpu/gemm_pack.hpp"
#include "cpu/gemm_store.hpp"
#include "cpu/tile_registers.hpp"
#include "cpu/vec.hpp"

namespace pacac {

/// Sizes of a product's tiles. NV is in vectors, the others in elements. kFetch adds up what is asked for ahead of its
/// use: 1 what the next panel of B is packed from, 2 the tile of C, 4 the next block of A. With `pairs` a float of the packed
/// operands holds two bf16 of neighbouring k (gemm_pairs.hpp), and a step of the micro-kernel takes both, or 16 such pairs
/// where the processor multiplies tiles of them (tile_registers.hpp); `slice` of KC then go through all panels before the next.
template <int mr, int nv, int kc, int mc, int nc, int unroll = 4, int fetch = 0, bool pairs = false, int slice = kc>
struct Tiles {
  static constexpr int kUnroll = unroll, kFetch = fetch;
  static constexpr bool kPairs = pairs;
  static constexpr bool kInTiles = pairs && kHasTiles;
  /// Floats that `deep` values of k are packed into.
  static constexpr std::int64_t steps(std::int64_t deep) { return pairs ? pairs_of(deep) : deep; }
  static constexpr int MR = mr, NV = nv, NR = nv * Vec::lanes;
  static constexpr int KC = kc, MC = mc / mr * mr, NC = nc / NR * NR;
  static constexpr int kSlice = slice;
  /// Panels whose sums are stored together, so that whole cache lines are, of bf16 too.
  static constexpr int kTogether = kInTiles && NR < 32 ? 32 / NR : 1;
  static_assert(mr >= 1 && nv >= 1 && kc >= 1 && mc >= mr && nc >= NR);
  static_assert(!kInTiles || mr % 16 == 0, "rows of register tiles");
  static_assert(slice == kc || (kInTiles && slice < kc && slice % (2 * kPairsTogether) == 0), "slices are whole tiles");
  /// Bytes of a thread's packed operands; A's share also where A is read in place. (The 64: a whole vector stored at A's end.)
  static constexpr std::int64_t kPackedB = (4 * steps(KC) * NC + 63) / 64 * 64;
  static constexpr std::int64_t kPackedA = 4 * MC * (steps(KC) + kRowPadding) + 64;
  /// Of tile registers' sums of a strip and the panels that are stored together, and how many of them rest: between slices all of a
  /// block, otherwise those that are finished and the next.
  static constexpr std::int64_t kGroup = MR * kTogether * NR;
  static constexpr std::int64_t kGroups = MC / MR * (slice == kc ? 2 : (NC / NR + kTogether - 1) / kTogether);
  static constexpr std::int64_t kSums = kInTiles ? 4 * kGroups * kGroup : 0;
  static constexpr std::int64_t kScratch = kPackedB + kPackedA + kSums;
};

/// One step of k: sum[r][v] += a[r * row_step] * b[v * lanes …]; of pairs, both products.
template <int R, int NV, std::int64_t row_step, bool pairs, class E>
[[gnu::always_inline]] inline void multiply_add(const float* a, const E* b, Vec (&sum)[R][NV]) {
  Vec row[NV];
  for (int v = 0; v < NV; v++) row[v] = load(b + v * Vec::lanes);
  for (int r = 0; r < R; r++) {
    const Vec value = broadcast(value_at(a + r * row_step));
    for (int v = 0; v < NV; v++) {
      if constexpr (pairs) sum[r][v] = dot_pairs(sum[r][v], value, row[v]);
      else sum[r][v] = fma(value, row[v], sum[r][v]);
    }
  }
}

/// sum[r][v] += Σ_k a[r * row_step + k * k_step] * b[k * b_step + v * lanes …] over `count` values of k. (The compiler keeps
/// all sums in registers when it unrolls by itself, and does not when the steps are written out; a pragma takes no template argument.)
template <int unroll, int R, int NV, std::int64_t row_step, std::int64_t k_step, std::int64_t b_step, bool pairs = false, class E>
[[gnu::always_inline]] inline void multiply_add(const float* a, const E* b, std::int64_t count, Vec (&sum)[R][NV]) {
  if constexpr (unroll == 1) {
#pragma GCC unroll 1
    for (std::int64_t k = 0; k < count; k++, a += k_step, b += b_step) multiply_add<R, NV, row_step, pairs>(a, b, sum);
  } else if constexpr (unroll == 2) {
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < count; k++, a += k_step, b += b_step) multiply_add<R, NV, row_step, pairs>(a, b, sum);
  } else if constexpr (unroll == 4) {
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < count; k++, a += k_step, b += b_step) multiply_add<R, NV, row_step, pairs>(a, b, sum);
  } else {
    static_assert(unroll == 8);
#pragma GCC unroll 8
    for (std::int64_t k = 0; k < count; k++, a += k_step, b += b_step) multiply_add<R, NV, row_step, pairs>(a, b, sum);
  }
}

/// Vectors of one row of sums, of whose columns `columns` exist.
template <int NV, class Store>
[[gnu::always_inline]] inline void store_row(const Store& store, const Place& place, const Vec (&sum)[NV], std::int64_t columns) {
  for (int v = 0; v < NV; v++) {
    const std::int64_t left = columns - v * Vec::lanes;
    const Place at{place.row, place.column + v * Vec::lanes, place.first};
    if (left >= Vec::lanes) {
      store.whole(at, sum[v]);
    } else if (left > 0) {
      store.part(at, sum[v], static_cast<int>(left));
    }
  }
}

/// Asks for the rows of a tile of C, unless they are written past the caches.
template <class T, class Store>
[[gnu::always_inline]] inline void fetch_tile(const Store& store, const Place& place, std::int64_t rows) {
  if constexpr (requires { store.address(place); } && !requires { requires Store::kStreams; }) {
    for (std::int64_t r = 0; r < rows; r++) {
      const auto* const c = store.address(Place{place.row + r, place.column, place.first});
      __builtin_prefetch(c, 1);
      __builtin_prefetch(c + T::NR - 1, 1);
    }
  }
}

/// One tile: R rows from `row`, one panel of columns from `column`, of which `columns` exist.
template <class T, int R, class A, class Store>
[[gnu::noinline]] void tile(const float* a, const float* b, std::int64_t count, const Store& store, const Place& place,
                            std::int64_t columns) {
  constexpr int NV = T::NV;
  if constexpr ((T::kFetch & 2) != 0) fetch_tile<T>(store, place, R);
  Vec sum[R][NV];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < NV; v++) sum[r][v] = zero();
  }
  multiply_add<T::kUnroll, R, NV, A::kRowStep, A::kStep, T::NR, T::kPairs>(a, b, count, sum);
  for (int r = 0; r < R; r++) store_row(store, Place{place.row + r, place.column, place.first}, sum[r], columns);
}

/// Where sums become C, or are added to it, as they are: whole tiles then go there straight from the registers.
template <class Store>
concept PlainStore = requires { requires(Store::kPlain > 0); };

/// Rows of sums in memory, from row to row `wide` floats, on their way to a store. Registers multiply tiles while vectors store a few of
/// them.
template <int wide>
struct Finished {
  const float* sums = nullptr;
  std::int64_t rows = 0, columns = 0;
  Place place{};
  /// Stores one more row, if there is one.
  template <class Store>
  [[gnu::always_inline]] void store_one(const Store& store) {
    if (rows == 0) return;
    Vec sum[wide / Vec::lanes];
    for (int v = 0; v < wide / Vec::lanes; v++) sum[v] = load(sums + v * Vec::lanes);
    store_row(store, place, sum, columns);
    sums += wide, place.row++, rows--;
  }
  template <class Store>
  [[gnu::always_inline]] void store_all(const Store& store) {
    while (rows > 0) store_one(store);
  }
};

/// Where a tile's sums rest until they are stored, and which slice of k this is. Panels whose sums are stored together have neighbouring columns there.
template <class T>
struct Resting {
  float* sums = nullptr;
  int panel = 0;
  bool begins = true, ends = true;
  Finished<T::kTogether * T::NR>* finished = nullptr;
};

/// One tile in tile registers: R rows, of which `rows` exist; what is computed of others is never stored. `columns` exist from this
/// panel on.
template <class T, int R, class Store>
[[gnu::noinline]] void tile_in_tiles(std::int64_t rows, const TileStrip& a, const float* b, const Store& store, const Place& place,
                                     std::int64_t columns, const Resting<T>& rest) {
  if constexpr ((T::kFetch & 2) != 0) {
    if (rest.begins) fetch_tile<T>(store, place, rows);
  }
  if constexpr (PlainStore<Store>) {
    if (rows == R && columns >= T::NR) {
      float* const c = store.to + place.row * Store::kPlain + place.column;
      if (!rest.begins || Store::adds(place)) return multiply_tiles<R / 16, T::NV, true>(a, b, T::NR, c, Store::kPlain);
      return multiply_tiles<R / 16, T::NV>(a, b, T::NR, c, Store::kPlain);
    }
  }
  constexpr int wide = T::kTogether * T::NR;
  auto finished = *rest.finished;
  const auto store_some = [&]() __attribute__((always_inline)) {
    finished.store_one(store);
    finished.store_one(store);
  };
  if (rest.begins) multiply_tiles<R / 16, T::NV>(a, b, T::NR, rest.sums, wide, store_some);
  else multiply_tiles<R / 16, T::NV, true>(a, b, T::NR, rest.sums, wide, store_some);
  // Beside an edge other tiles may have gone to C themselves.
  constexpr bool alone = PlainStore<Store>;
  if (rest.ends && (alone || rest.panel + 1 == T::kTogether || columns <= T::NR)) {
    finished.store_all(store);
    const std::int64_t before = alone ? 0 : rest.panel * T::NR, exist = alone ? smaller(T::NR, columns) : columns + before;
    finished = {rest.sums - before, rows, exist, Place{place.row, place.column - before, place.first}};
  }
  *rest.finished = finished;
}

/// A strip of A as a micro-kernel takes it.
template <class T>
using Strip = std::conditional_t<T::kInTiles, TileStrip, const float*>;

/// Strip `i` of a block of A that begins at `k`; `packed` is what block() could write to.
template <class T, class A>
inline Strip<T> strip_of(const A& a, const float* block, [[maybe_unused]] const float* packed, std::int64_t i,
                         [[maybe_unused]] std::int64_t k, std::int64_t deep) {
  if constexpr (requires { a.strip(block, packed, i, k, deep); }) return a.strip(block, packed, i, k, deep);
  else if constexpr (T::kInTiles) {
    return {{block + i * A::strip_step(deep), A::kRowStep, A::kTileStep, T::steps(deep) / kPairsTogether}, {}};
  } else {
    return block + i * A::strip_step(deep);
  }
}

/// Of a strip, `thick` values of k from `slice` on.
template <class T>
inline Strip<T> slice_of(const Strip<T>& strip, [[maybe_unused]] std::int64_t slice, [[maybe_unused]] std::int64_t thick) {
  if constexpr (T::kSlice == T::KC) return strip;
  else return strip.part(T::steps(slice) / kPairsTogether, T::steps(thick) / kPairsTogether);
}

/// The tile of `rows` rows, 1 … R: one micro-kernel each.
template <class T, int R, class A, class Store>
inline void tile_of(std::int64_t rows, const Strip<T>& a, const float* b, [[maybe_unused]] std::int64_t count, const Store& store,
                    const Place& place, std::int64_t columns, [[maybe_unused]] const Resting<T>& rest) {
  if constexpr (T::kInTiles) {
    if constexpr (R > 16) {
      if (rows <= R - 16) return tile_of<T, R - 16, A>(rows, a, b, count, store, place, columns, rest);
    }
    tile_in_tiles<T, R>(rows, a, b, store, place, columns, rest);
  } else {
    if constexpr (R > 1) {
      if (rows < R) return tile_of<T, R - 1, A>(rows, a, b, count, store, place, columns, rest);
    }
    tile<T, R, A>(a, b, count, store, place, columns);
  }
}

/// The same tiles, one vector wide.
template <class T>
using Narrow = Tiles<T::MR, 1, T::KC, T::MC, T::NC, T::kUnroll, T::kFetch, T::kPairs>;

}  // namespace pacac
