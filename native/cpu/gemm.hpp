// Matrix product C[M,N] = A[M,K] B[K,N] in tiles, with both operands and the result given as small policies.
//
// Who reads what, from the innermost loop outwards (after Goto and van de Geijn 2008):
//
//   micro-kernel   MR x NR sums in registers; per k one row of NR values of B and MR single values of A
//   over rows      the strips of an MC x KC block of A, which stays in the L2 cache
//   over columns   the panels [KC][NR] of B, each from the L1 and L2 caches, packed when the first block of A comes to it
//   over blocks    MC rows at a time
//   over K         KC at a time; sums then rest in the float32 result in between
//   over columns   NC at a time: this much of B is packed, by each thread for itself
//
// Each element of C is one chain of fused multiply-adds in the order of k (cut at multiples of KC), whatever the
// number of threads and wherever the tiles fall, so results are equal bit for bit.
//
// The policies (gemm_pack.hpp, gemm_store.hpp): an A gives `block(...)`, a pointer and two constant steps, and says whether it
// is read where it lies (kInPlace); a B gives `pack(...)`; a store takes finished vectors. Columns beyond N are computed on zeros
// and never stored; strips with fewer than MR rows have micro-kernels of their own.
#pragma once
#include "cpu/gemm_pack.hpp"
#include "cpu/gemm_store.hpp"
#include "cpu/tile_registers.hpp"
#include "cpu/vec.hpp"

namespace pacac {

/// Sizes of a product's tiles. NV is in vectors, the others in elements. kFetch adds up what is asked for ahead of its
/// use: 1 what the next panel of B is packed from, 2 the tile of C, 4 the next block of A. With `pairs` a float of the packed
/// operands holds two bf16 of neighbouring k (gemm_pairs.hpp), and a step of the micro-kernel takes both, or 16 such pairs
/// where the processor multiplies tiles of them (tile_registers.hpp).
template <int mr, int nv, int kc, int mc, int nc, int unroll = 4, int fetch = 0, bool pairs = false>
struct Tiles {
  static constexpr int kUnroll = unroll, kFetch = fetch;
  static constexpr bool kPairs = pairs;
  static constexpr bool kInTiles = pairs && kHasTiles;
  /// Floats that `deep` values of k are packed into.
  static constexpr std::int64_t steps(std::int64_t deep) { return pairs ? pairs_of(deep) : deep; }
  static constexpr int MR = mr, NV = nv, NR = nv * Vec::lanes;
  static constexpr int KC = kc, MC = mc / mr * mr, NC = nc / NR * NR;
  static_assert(mr >= 1 && nv >= 1 && kc >= 1 && mc >= mr && nc >= NR);
  static_assert(!kInTiles || mr % 16 == 0, "rows of register tiles");
  /// Bytes of a thread's packed operands; A's share also where A is read in place. (The 64: a whole vector stored at A's end.)
  static constexpr std::int64_t kPackedB = (4 * steps(KC) * NC + 63) / 64 * 64;
  static constexpr std::int64_t kPackedA = 4 * MC * (steps(KC) + kRowPadding) + 64;
  static constexpr std::int64_t kScratch = kPackedB + kPackedA;
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

/// Vectors of one row of a tile, of whose columns `columns` exist.
template <class T, class Store>
[[gnu::always_inline]] inline void store_row(const Store& store, const Place& place, const Vec (&sum)[T::NV], std::int64_t columns) {
  for (int v = 0; v < T::NV; v++) {
    const std::int64_t left = columns - v * Vec::lanes;
    const Place at{place.row, place.column + v * Vec::lanes, place.first};
    if (left >= Vec::lanes) {
      store.whole(at, sum[v]);
    } else if (left > 0) {
      store.part(at, sum[v], static_cast<int>(left));
    }
  }
}

/// Asks for the rows of a tile of C.
template <class T, class Store>
[[gnu::always_inline]] inline void fetch_tile(const Store& store, const Place& place, std::int64_t rows) {
  if constexpr (requires { store.address(place); }) {
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
  for (int r = 0; r < R; r++) store_row<T>(store, Place{place.row + r, place.column, place.first}, sum[r], columns);
}

/// Where sums become C, or are added to it, as they are: whole tiles then go there straight from the registers.
template <class Store>
concept PlainStore = requires { requires(Store::kPlain > 0); };

/// One tile in tile registers: R rows, of which `rows` exist; what is computed of others is never stored.
template <class T, int R, class Store>
[[gnu::noinline]] void tile_in_tiles(std::int64_t rows, const TileStrip& a, const float* b, const Store& store, const Place& place,
                                     std::int64_t columns) {
  if constexpr ((T::kFetch & 2) != 0) fetch_tile<T>(store, place, rows);
  if constexpr (PlainStore<Store>) {
    if (rows == R && columns >= T::NR) {
      float* const c = store.to + place.row * Store::kPlain + place.column;
      if (Store::adds(place)) return multiply_tiles<R / 16, T::NV, true>(a, b, T::NR, c, Store::kPlain);
      return multiply_tiles<R / 16, T::NV>(a, b, T::NR, c, Store::kPlain);
    }
  }
  alignas(64) float sums[R * T::NR];
  multiply_tiles<R / 16, T::NV>(a, b, T::NR, sums, T::NR);
  for (std::int64_t r = 0; r < rows; r++) {
    Vec sum[T::NV];
    for (int v = 0; v < T::NV; v++) sum[v] = load(sums + r * T::NR + v * Vec::lanes);
    store_row<T>(store, Place{place.row + r, place.column, place.first}, sum, columns);
  }
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

/// The tile of `rows` rows, 1 … R: one micro-kernel each.
template <class T, int R, class A, class Store>
inline void tile_of(std::int64_t rows, const Strip<T>& a, const float* b, [[maybe_unused]] std::int64_t count, const Store& store,
                    const Place& place, std::int64_t columns) {
  if constexpr (T::kInTiles) {
    if constexpr (R > 16) {
      if (rows <= R - 16) return tile_of<T, R - 16, A>(rows, a, b, count, store, place, columns);
    }
    tile_in_tiles<T, R>(rows, a, b, store, place, columns);
  } else {
    if constexpr (R > 1) {
      if (rows < R) return tile_of<T, R - 1, A>(rows, a, b, count, store, place, columns);
    }
    tile<T, R, A>(a, b, count, store, place, columns);
  }
}

/// The same tiles, one vector wide.
template <class T>
using Narrow = Tiles<T::MR, 1, T::KC, T::MC, T::NC, T::kUnroll, T::kFetch, T::kPairs>;

/// Nothing is computed beside C.
struct NothingBeside {
  static constexpr std::int64_t kColumns = 0;
};

/// Bytes of scratch of a product and of `columns` columns beside it.
template <class T, std::int64_t columns>
constexpr std::int64_t kScratchBeside = T::kScratch + 4 * T::steps(T::KC) * ((columns + Vec::lanes - 1) / Vec::lanes * Vec::lanes);

/// The part rows x columns of C, over k in [0, K). `scratch` has Tiles::kScratch bytes, 64-byte aligned.
///
/// `others` are up to kColumns columns of another product with the same A, taken while a block of A is packed: others.within(range) says
/// which of them go with a range of C's columns, others.b packs them, others.store takes their sums once those columns of C have the
/// same slice of k. Their panels lie behind T::kScratch (kScratchBeside).
template <class T, class A, class B, class Store, class Others = NothingBeside>
void multiply(Worker::Range rows, Worker::Range columns, std::int64_t K, const A& a, const B& b, const Store& store,
              std::byte* scratch, [[maybe_unused]] const Others& others = {}) {
  [[maybe_unused]] const std::conditional_t<T::kInTiles, TileRegisters, None> registers{};
  float* const packed_b = reinterpret_cast<float*>(scratch);
  float* const packed_a = reinterpret_cast<float*>(scratch + T::kPackedB);
  for (std::int64_t n = columns.begin; n < columns.end; n += T::NC) {
    const std::int64_t wide = smaller(T::NC, columns.end - n);
    for (std::int64_t k = 0; k < K; k += T::KC) {
      const std::int64_t deep = smaller(T::KC, K - k);
      for (std::int64_t m = rows.begin; m < rows.end; m += T::MC) {
        const std::int64_t high = smaller(T::MC, rows.end - m), strips = (high + T::MR - 1) / T::MR;
        const float* const block = a.block(packed_a, m, high, k, deep);
        for (std::int64_t j = 0; j < wide; j += T::NR) {
          const std::int64_t exist = smaller(T::NR, wide - j);
          float* const panel = packed_b + j * T::steps(T::KC);
          const bool fresh = m == rows.begin;
          if (fresh) b.template pack<T::NV>(panel, k, deep, n + j, exist);
          for (std::int64_t i = 0; i < strips; i++) {
            if constexpr ((T::kFetch & 1) != 0) {
              if (fresh) b.template fetch<T::NV>(k, deep, n + j + T::NR, Share{i, strips});
            }
            if constexpr ((T::kFetch & 4) != 0 && requires { a.fetch(m, high, k, deep, Share{}); }) {
              const bool last = m + T::MC >= rows.end;
              a.fetch(last ? rows.begin : m + T::MC, high, last ? k + T::KC : k, deep,
                      Share{j / T::NR * strips + i, strips * ((wide + T::NR - 1) / T::NR)});
            }
            tile_of<T, T::MR, A>(smaller(T::MR, high - i * T::MR), strip_of<T>(a, block, packed_a, i, k, deep), panel, T::steps(deep),
                                 store, Place{m + i * T::MR, n + j, k == 0}, exist);
          }
        }
        if constexpr (Others::kColumns > 0) {
          const auto [begin, end] = others.within({n, n + wide});
          for (std::int64_t j = begin; j < end; j += Vec::lanes) {
            const std::int64_t exist = smaller(Vec::lanes, end - j);
            float* const panel = reinterpret_cast<float*>(scratch + T::kScratch) + (j - begin) * T::steps(T::KC);
            if (m == rows.begin) others.b.template pack<1>(panel, k, deep, j, exist);
            for (std::int64_t i = 0; i < strips; i++) {
              tile_of<Narrow<T>, T::MR, A>(smaller(T::MR, high - i * T::MR), strip_of<T>(a, block, packed_a, i, k, deep), panel,
                                           T::steps(deep), others.store, Place{m + i * T::MR, j, k == 0}, exist);
            }
          }
        }
      }
    }
  }
}

/// What one thread computes of C, and which of the threads it is that compute columns of the same rows.
struct Part {
  Worker::Range rows, columns;
  Worker mates;
};

/// Lays the threads out as a grid over C. Every thread packs its own columns of B, which costs about as much as
/// 1.5 tiles for each panel, and reads or packs its own rows of A, about a tenth of that; tile registers multiply faster than either is
/// packed. The grid with the least work of its busiest thread wins.
template <class T, class A>
Part part_of(const Worker& worker, std::int64_t M, std::int64_t N, const A&) {
  const std::int64_t strips = (M + T::MR - 1) / T::MR, panels = (N + T::NR - 1) / T::NR;
  constexpr double kPanel = T::kInTiles ? 2.5 : 1.5, kStrip = !T::kInTiles ? 0.15 : A::kInPlace ? 0.3 : 4.0;
  int best = 1;
  double least = 0;
  for (int down = 1; down <= worker.threads; down++) {
    if (worker.threads % down != 0) continue;
    const int across = worker.threads / down;
    const double high = static_cast<double>((strips + down - 1) / down);
    const double wide = static_cast<double>((panels + across - 1) / across);
    const double work = high * wide + kPanel * wide + kStrip * high;
    if (down == 1 || work < least) {
      least = work;
      best = down;
    }
  }
  const int across = worker.threads / best;
  const Worker row{worker.thread / across, best, nullptr, nullptr, nullptr};
  const Worker column{worker.thread % across, across, nullptr, nullptr, nullptr};
  const Worker::Range columns = column.share(N, T::NR);
  // With fewer panels than threads, those that have one have one each.
  const Worker sharing{static_cast<int>(columns.begin / T::NR), static_cast<int>(panels), nullptr, nullptr, nullptr};
  return {row.share(M, T::MR), columns, panels < across ? sharing : column};
}

/// This thread's part of the rows `rows` of C[M,N] = A B.
template <class T, class A, class B, class Store>
void product_of_rows(const Worker& worker, Worker::Range rows, std::int64_t N, std::int64_t K, const A& a, const B& b,
                     const Store& store) {
  const Part part = part_of<T>(worker, rows.end - rows.begin, N, a);
  if (part.rows.begin == part.rows.end) return;
  multiply<T>({rows.begin + part.rows.begin, rows.begin + part.rows.end}, part.columns, K, a, b, store, worker.scratch);
}

/// This thread's part of C[M,N] = A B.
template <class T, class A, class B, class Store>
void product(const Worker& worker, std::int64_t M, std::int64_t N, std::int64_t K, const A& a, const B& b,
             const Store& store) {
  product_of_rows<T>(worker, {0, M}, N, K, a, b, store);
}

}  // namespace pacac
