// Matrix product C[M,N] = A[M,K] B[K,N] in tiles, with both operands and the result given as small policies.
//
// Who reads what, from the innermost loop outwards (after Goto and van de Geijn 2008):
//
//   micro-kernel   MR x NR sums in registers; per k one row of NR values of B and MR single values of A
//   over rows      the strips of an MC x KC block of A, which stays in the L2 cache
//   over columns   the panels [KC][NR] of B, each from the L1 and L2 caches, packed when the first block of A comes to it
//   over slices    of tile registers: kSlice of those KC at a time, so that a strip of A or a panel of B stays in the L1 cache
//   over blocks    MC rows at a time
//   over K         KC at a time; sums then rest in the float32 result in between
//   over columns   NC at a time: this much of B is packed, by each thread for itself
//
// Each element of C is one chain of fused multiply-adds in the order of k (cut at multiples of KC), whatever the
// number of threads and wherever the tiles fall, so results are equal bit for bit.
//
// The policies (gemm_pack.hpp, gemm_store.hpp): an A gives `block(...)`, a pointer and two constant steps, and says whether it
// is read where it lies (kInPlace); a B gives `pack(...)`; a store takes finished vectors. Columns beyond N are computed on zeros
// and never stored; strips with fewer than MR rows have micro-kernels of their own (gemm_micro.hpp).
#pragma once
#include "cpu/gemm_micro.hpp"

namespace pacac {

/// Nothing is computed beside C.
struct NothingBeside {
  static constexpr std::int64_t kColumns = 0;
};

/// Bytes of scratch of a product and of `columns` columns beside it.
template <class T, std::int64_t columns>
constexpr std::int64_t kScratchBeside = T::kScratch + 4 * T::steps(T::KC) * ((columns + Vec::lanes - 1) / Vec::lanes * Vec::lanes);

/// Where a product stands: a thread's `rows`, a slab of `wide` columns from n, `deep` values of k, a block of `high` rows from m, and the
/// first of a slice of `deep`.
struct At {
  Worker::Range rows;
  std::int64_t n, wide, k, deep, m, high, slice;
};

/// Adds a slice's products of a block of A and all panels of a slab.
template <class T, class A, class B, class Store>
[[gnu::always_inline]] inline void multiply_slice(const At& at, const A& a, const float* block, const B& b, const Store& store,
                                                  std::byte* scratch) {
  const auto [rows, n, wide, k, deep, m, high, slice] = at;
  float* const packed_b = reinterpret_cast<float*>(scratch);
  float* const packed_a = reinterpret_cast<float*>(scratch + T::kPackedB);
  float* const sums = reinterpret_cast<float*>(scratch + T::kPackedB + T::kPackedA);
  const std::int64_t thick = smaller(T::kSlice, deep - slice), strips = (high + T::MR - 1) / T::MR;
  const bool fresh = m == rows.begin;
  Finished<T::kTogether * T::NR> finished;
  for (std::int64_t j = 0; j < wide; j += T::NR) {
    const std::int64_t exist = smaller(T::NR, wide - j), panel = j / T::NR;
    float* const b_panel = packed_b + j * T::steps(T::KC) + T::steps(slice) * T::NR;
    if (fresh) b.template pack<T::NV>(b_panel, k + slice, thick, n + j, exist);
    for (std::int64_t i = 0; i < strips; i++) {
      if constexpr ((T::kFetch & 1) != 0) {
        if (fresh) b.template fetch<T::NV>(k + slice, thick, n + j + T::NR, Share{i, strips});
      }
      if constexpr ((T::kFetch & 4) != 0 && requires { a.fetch(m, high, k, deep, Share{}); }) {
        const bool last = m + T::MC >= rows.end;
        const std::int64_t panels = (wide + T::NR - 1) / T::NR, slices = (deep + T::kSlice - 1) / T::kSlice;
        a.fetch(last ? rows.begin : m + T::MC, high, last ? k + T::KC : k, deep,
                Share{(slice / T::kSlice * panels + panel) * strips + i, slices * panels * strips});
      }
      const std::int64_t group = (panel / T::kTogether * (T::MC / T::MR) + i) % T::kGroups;
      const Resting<T> rest{sums + group * T::kGroup + panel % T::kTogether * T::NR, static_cast<int>(panel % T::kTogether), slice == 0,
                            slice + T::kSlice >= deep, &finished};
      tile_of<T, T::MR, A>(smaller(T::MR, high - i * T::MR), slice_of<T>(strip_of<T>(a, block, packed_a, i, k, deep), slice, thick),
                           b_panel, T::steps(thick), store, Place{m + i * T::MR, n + j, k == 0}, wide - j, rest);
    }
  }
  finished.store_all(store);
}

/// The part rows x columns of C, over k in [0, K). `scratch` has Tiles::kScratch bytes, 64-byte aligned.
///
/// `others` are up to kColumns columns of another product with the same A, taken while a block of A is packed: others.within(range) says
/// which of them go with a range of C's columns, others.b packs them, others.store takes their sums once those columns of C have the
/// same slice of k. Their panels lie behind T::kScratch (kScratchBeside).
template <class T, class A, class B, class Store, class Others = NothingBeside>
void multiply(Worker::Range rows, Worker::Range columns, std::int64_t K, const A& a, const B& b, const Store& store,
              std::byte* scratch, [[maybe_unused]] const Others& others = {}) {
  [[maybe_unused]] const std::conditional_t<T::kInTiles, TileRegisters, None> registers{};
  float* const packed_a = reinterpret_cast<float*>(scratch + T::kPackedB);
  for (std::int64_t n = columns.begin; n < columns.end; n += T::NC) {
    const std::int64_t wide = smaller(T::NC, columns.end - n);
    for (std::int64_t k = 0; k < K; k += T::KC) {
      const std::int64_t deep = smaller(T::KC, K - k);
      for (std::int64_t m = rows.begin; m < rows.end; m += T::MC) {
        const std::int64_t high = smaller(T::MC, rows.end - m);
        const float* const block = a.block(packed_a, m, high, k, deep);
        for (std::int64_t slice = 0; slice < deep; slice += T::kSlice) {
          multiply_slice<T>(At{rows, n, wide, k, deep, m, high, slice}, a, block, b, store, scratch);
        }
        if constexpr (Others::kColumns > 0) {
          const auto [begin, end] = others.within({n, n + wide});
          const std::int64_t strips = (high + T::MR - 1) / T::MR;
          for (std::int64_t j = begin; j < end; j += Vec::lanes) {
            const std::int64_t exist = smaller(Vec::lanes, end - j);
            float* const panel = reinterpret_cast<float*>(scratch + T::kScratch) + (j - begin) * T::steps(T::KC);
            if (m == rows.begin) others.b.template pack<1>(panel, k, deep, j, exist);
            for (std::int64_t i = 0; i < strips; i++) {
              Finished<Narrow<T>::kTogether * Vec::lanes> finished;
              const Resting<Narrow<T>> rest{reinterpret_cast<float*>(scratch + T::kPackedB + T::kPackedA), 0, true, true, &finished};
              tile_of<Narrow<T>, T::MR, A>(smaller(T::MR, high - i * T::MR), strip_of<T>(a, block, packed_a, i, k, deep), panel,
                                           T::steps(deep), others.store, Place{m + i * T::MR, j, k == 0}, exist, rest);
              finished.store_all(others.store);
            }
          }
        }
      }
    }
  }
  if constexpr (requires { requires Store::kStreams; }) end_streams();
}

/// What one thread computes of C, and which of the threads it is that compute columns of the same rows.
struct Part {
  Worker::Range rows, columns;
  Worker mates;
};

/// Lays the threads out as a grid over C. Every thread packs its own columns of B, which costs about as much as
/// 1.5 tiles for each panel, and reads or packs its own rows of A, about a tenth of that; tile registers multiply faster than either is
/// packed: a panel costs as much as 40 rows of tiles, a strip as 14 or 192 columns. The grid with the least work of its busiest thread wins.
template <class T, class A>
Part part_of(const Worker& worker, std::int64_t M, std::int64_t N, const A&) {
  // Panels that are stored together have one thread.
  constexpr std::int64_t kWide = T::NR * T::kTogether;
  const std::int64_t strips = (M + T::MR - 1) / T::MR, panels = (N + kWide - 1) / kWide;
  constexpr double kPanel = T::kInTiles ? 40.0 / T::MR : 1.5, kStrip = !T::kInTiles ? 0.15 : (A::kInPlace ? 14.0 : 192.0) / kWide;
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
  const int across = worker.threads / best, leader = worker.thread / across * across;
  const Worker row{worker.thread / across, best, nullptr, nullptr, nullptr};
  const Worker column{worker.thread % across, across, nullptr, nullptr, nullptr};
  if (panels < across) {  // those threads that have one have one each
    const Worker::Range columns = column.share(N, kWide);
    const Worker sharing{static_cast<int>(columns.begin / kWide), static_cast<int>(panels), nullptr, nullptr, nullptr};
    return {columns.begin < columns.end ? row.share(M, T::MR) : Worker::Range{0, 0}, columns, sharing};
  }
  if (worker.bounds == nullptr) return {row.share(M, T::MR), column.share(N, kWide), column};
  const double* const bounds = worker.bounds + leader;
  const double first = bounds[0], all = bounds[across] - first;
  const double from = (bounds[column.thread] - first) / all, to = (bounds[column.thread + 1] - first) / all;
  return {Worker::between(first, bounds[across], M, T::MR), Worker::between(from, to, N, kWide), column};
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
