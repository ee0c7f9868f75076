// Products of odd extents with many tiles against sums in float64, and bit for bit between thread counts. Prints what is
// wrong; exits with 1 where something is. Built and run by gemm_test.ts, which says what of it is looked at as assembly too.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/tile_permission.hpp"
#include "cpu/gemm_pairs.hpp"
#include "cpu/gemm_thin.hpp"
#ifdef PACAC_ISA_AMX_BF16
#include "cpu/gemm_thin_tiles.hpp"
#endif

using namespace pacac;

namespace {

int wrong = 0;

template <class E>
std::vector<E> numbers(std::int64_t count, std::uint32_t seed) {
  std::vector<E> result(static_cast<std::size_t>(count));
  for (E& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = round_to<E>(static_cast<float>(seed >> 8) / 16777216.0f - 0.5f);
  }
  return result;
}

/// Scratch whose every float is NaN, so that nothing unwritten goes unnoticed.
std::vector<Vec> scratch_of(std::int64_t bytes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  return std::vector<Vec>(static_cast<std::size_t>(bytes) / sizeof(Vec) + 2, broadcast(nan));
}

std::byte* aligned(std::vector<Vec>& scratch) {
  return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
}

/// `magnitude`: the sum of absolute values, of which rounding is a share.
void judge(const char* what, std::int64_t i, double found, double expected, double magnitude) {
  if (std::abs(found - expected) <= 3e-6 * magnitude + 1e-6) return;
  if (wrong++ < 10) std::printf("%s [%lld]: %.9g, expected %.9g\n", what, static_cast<long long>(i), found, expected);
}

void same_bits(const char* what, const std::vector<float>& a, const std::vector<float>& b) {
  if (std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) return;
  wrong++;
  std::printf("%s: not the same bits with several threads\n", what);
}

template <std::int64_t K, std::int64_t N, bool transposed, class E>
auto columns_of(const E* w) {
  if constexpr (transposed) return Transposed<K, E>{w};
  else return Straight<N, E>{w};
}

/// One of `threads` workers; of -threads, whose shares of the work differ, some of them much.
Worker worker_of(int thread, int threads, std::byte* scratch = nullptr) {
  static double bounds[64];
  const int count = std::abs(threads);
  for (int t = 0; t <= count; t++) bounds[t] = std::pow(static_cast<double>(t) / count, 2.5);
  return Worker{thread, count, scratch, nullptr, nullptr, nullptr, threads < 0 ? bounds : nullptr};
}

template <std::int64_t M, std::int64_t K, std::int64_t N, class X, class E, bool transposed, class T>
void check_product() {
  const std::vector<X> x = numbers<X>(M * K, 1);
  const std::vector<E> w = numbers<E>(K * N, 2);
  const auto b = columns_of<K, N, transposed>(w.data());
  std::vector<Vec> scratch = scratch_of(T::kScratch + 64);
  const auto run = [&](int threads) {
    std::vector<float> c(M * N, NAN);
    for (int thread = 0; thread < std::abs(threads); thread++) {
      const Worker worker = worker_of(thread, threads, aligned(scratch));
      product<T>(worker, M, N, K, rows_of<T, K>(x.data()), b, StoreRows<N, float>{c.data()});
    }
    return c;
  };
  const std::vector<float> one = run(1);
  for (const int threads : {3, -3, -4}) same_bits("product", one, run(threads));
  for (std::int64_t i = 0; i < M * N; i++) {
    double sum = 0, magnitude = 0;
    for (std::int64_t k = 0; k < K; k++) {
      const std::int64_t at = transposed ? i % N * K + k : k * N + i % N;
      const double term = static_cast<double>(to_float(x[static_cast<std::size_t>(i / N * K + k)])) *
                          static_cast<double>(to_float(w[static_cast<std::size_t>(at)]));
      sum += term;
      magnitude += std::abs(term);
    }
    judge("product", i, one[static_cast<std::size_t>(i)], sum, magnitude);
  }
}

/// Every row of A is seen by one thread, however many there are for the panels of columns.
template <std::int64_t M, std::int64_t K, std::int64_t N, class T>
void check_visits() {
  const std::vector<float> x = numbers<float>(M * K, 5), w = numbers<float>(K * N, 6);
  std::vector<Vec> scratch = scratch_of(T::kScratch + 64);
  std::vector<float> c(M * N);
  for (const int threads : {1, 2, 3, 4, 8, 12, 40, -2, -3, -4, -8, -12, -40}) {
    std::vector<int> seen(M);
    const auto see = [&](std::int64_t row) { seen[static_cast<std::size_t>(row)]++; };
    for (int thread = 0; thread < std::abs(threads); thread++) {
      const Worker worker = worker_of(thread, threads, aligned(scratch));
      product_visiting<T>(worker, M, N, K, rows_of<T, K>(x.data()), Straight<N, float>{w.data()}, StoreRows<N, float>{c.data()}, see);
    }
    for (const int times : seen) {
      if (times == 1 || wrong++ >= 10) continue;
      std::printf("visits: a row was seen %d times by %d threads\n", times, threads);  // fewer than 0: of uneven shares
    }
  }
}

double value(bf16 x) { return static_cast<double>(to_float(x)); }
/// As it is packed.
template <class X>
double packed(X x) {
  return value(round_to<bf16>(to_float(x)));
}

/// What a way to make the gradient of a thin matrix does, of operands that it takes as they are or as bf16: make(columns, x, dy, C, scratch).
template <std::int64_t R, std::int64_t O, std::int64_t tokens, class X, class E, bool rounds, class Make>
void judge_thin(std::int64_t bytes, std::int64_t grain, const Make& make) {
  const std::vector<X> x = numbers<X>(tokens * R, 3);
  const std::vector<E> dy = numbers<E>(tokens * O, 4);
  std::vector<Vec> scratch = scratch_of(bytes + 64);
  std::vector<float> one(O * R, 0.5f), three(O * R, 0.5f);
  make(Worker::Range{0, O}, x.data(), dy.data(), one.data(), aligned(scratch));
  for (int thread = 0; thread < 3; thread++) {
    const Worker worker{thread, 3, nullptr, nullptr, nullptr};
    make(worker.share(O, grain), x.data(), dy.data(), three.data(), aligned(scratch));
  }
  same_bits("thin product", one, three);
  const auto taken = [](auto element) { return rounds ? packed(element) : static_cast<double>(to_float(element)); };
  for (std::int64_t i = 0; i < O * R; i++) {
    double sum = 0, magnitude = 0;
    for (std::int64_t t = 0; t < tokens; t++) {
      const double term = taken(dy[static_cast<std::size_t>(t * O + i / R)]) * taken(x[static_cast<std::size_t>(t * R + i % R)]);
      sum += term;
      magnitude += std::abs(term);
    }
    judge("thin product", i, one[static_cast<std::size_t>(i)], 0.5 + 0.25 * sum, magnitude);
  }
}

template <std::int64_t R, std::int64_t O, std::int64_t tokens, class X, class E, class T>
void check_thin() {
  judge_thin<R, O, tokens, X, E, false>(kThinScratch<T, R>, T::NR, [](auto columns, auto* x, auto* dy, float* c, std::byte* scratch) {
    thin_product<T, R, O>(columns, tokens, x, dy, 0.25f, c, scratch);
  });
}

#ifdef PACAC_ISA_AMX_BF16
template <std::int64_t R, std::int64_t O, std::int64_t tokens, class X, class E, int KC, int NC>
void check_thin_in_tiles() {
  constexpr std::int64_t kBytes = thin_tile_scratch<R, KC, NC>(tokens);
  judge_thin<R, O, tokens, X, E, true>(kBytes, 32, [](auto columns, auto* x, auto* dy, float* c, std::byte* scratch) {
    thin_product_in_tiles<R, O, KC, NC>(columns, tokens, x, dy, 0.25f, c, scratch);
  });
}
#endif

/// What dot_pairs must do, lane by lane: the second product first, each sum rounded to float32.
void check_dot_pairs() {
  for (std::uint32_t seed = 1; seed <= 200; seed++) {
    const std::vector<bf16> a = numbers<bf16>(2 * Vec::lanes, seed), b = numbers<bf16>(2 * Vec::lanes, seed + 1000);
    std::vector<float> sum = numbers<float>(Vec::lanes, seed + 2000), found(Vec::lanes);
    if (seed % 3 == 0) sum[0] = 1e30f;
    store(found.data(), dot_pairs(load(sum.data()), load_pairs(a.data()), load_pairs(b.data())));
    const Vec again = join_pairs(first_of_pairs(load_pairs(a.data())), second_of_pairs(load_pairs(a.data())));
    bf16 bits[2 * Vec::lanes];
    std::memcpy(bits, &again, sizeof bits);
    for (std::size_t i = 0; i < Vec::lanes; i++) {
      const float once = static_cast<float>(static_cast<double>(sum[i]) + value(a[2 * i + 1]) * value(b[2 * i + 1]));
      const float twice = static_cast<float>(static_cast<double>(once) + value(a[2 * i]) * value(b[2 * i]));
      if (found[i] != twice && wrong++ < 10) std::printf("dot_pairs: %.9g, expected %.9g\n", found[i], twice);
    }
    if (std::memcmp(bits, a.data(), sizeof bits) != 0 && wrong++ < 10) std::printf("join_pairs gives other bits\n");
  }
}

/// y = [x | x_p] [W | scale delta]ᵀ with rank columns, none where it is 0; W, and x as it is packed, are bf16.
template <std::int64_t M, std::int64_t K, std::int64_t N, std::int64_t rank, class X, class T>
void check_forward_pairs() {
  const std::vector<X> x = numbers<X>(M * K, 5);
  const std::vector<bf16> w = numbers<bf16>(N * K, 6);
  const std::vector<float> delta = numbers<float>(N * rank + 1, 7);
  std::vector<std::int32_t> index;
  for (std::int64_t j = 0; j < rank; j++) index.push_back(static_cast<std::int32_t>(j * K / rank));
  constexpr float scale = 0.37f;
  std::vector<Vec> scratch = scratch_of(T::kScratch + 64);
  const auto run = [&](int threads) {
    std::vector<float> y(M * N, NAN);
    for (int thread = 0; thread < std::abs(threads); thread++) {
      const Worker worker = worker_of(thread, threads, aligned(scratch));
      const StoreRows<N, float> to{y.data()};
      if constexpr (rank == 0) {
        product<T>(worker, M, N, K, paired_rows_of<T, M, K>(x.data()), TransposedPairs<K>{w.data()}, to);
      } else {
        const auto rows = paired_rows_of<T, M, K>(x.data(), ChosenColumns<K, rank>{index.data()});
        const TransposedPairs<K, DeltaColumns<K, rank>> columns{w.data(), {delta.data(), scale}};
        product<T>(worker, M, N, extension_of(K) + rank, rows, columns, to);
      }
    }
    return y;
  };
  const std::vector<float> one = run(1);
  for (const int threads : {3, -3}) same_bits("forward pairs", one, run(threads));
  for (std::int64_t i = 0; i < M * N; i++) {
    double sum = 0, magnitude = 0;
    const auto add = [&](double term) {
      sum += term;
      magnitude += std::abs(term);
    };
    const X* const row = &x[static_cast<std::size_t>(i / N * K)];
    for (std::int64_t k = 0; k < K; k++) add(packed(row[k]) * value(w[static_cast<std::size_t>(i % N * K + k)]));
    for (std::int64_t j = 0; j < rank; j++) {
      const float update = scale * delta[static_cast<std::size_t>(i % N * rank + j)];
      add(packed(row[index[static_cast<std::size_t>(j)]]) * packed(update));
    }
    judge("forward pairs", i, one[static_cast<std::size_t>(i)], sum, magnitude);
  }
}

/// dx [M, N] = dy [M, K] We, We [K, N] with rank columns of scale delta beside W.
template <std::int64_t M, std::int64_t K, std::int64_t N, std::int64_t rank, class X, class T>
void check_backward_pairs() {
  const std::vector<X> dy = numbers<X>(M * K, 8);
  const std::vector<bf16> w = numbers<bf16>(K * N, 9);
  const std::vector<float> delta = numbers<float>(K * rank, 10);
  std::vector<std::int32_t> index;
  for (std::int64_t j = 0; j < rank; j++) index.push_back(static_cast<std::int32_t>((j + 1) * N / rank - 1));
  constexpr float scale = 0.37f;
  std::vector<Vec> scratch = scratch_of(kScratchBeside<T, rank> + 64);
  const auto run = [&](int threads) {
    std::vector<float> dx(M * N, NAN);
    for (int thread = 0; thread < std::abs(threads); thread++) {
      const auto rows = paired_rows_of<T, M, K>(dy.data());
      const Part part = part_of<T>(worker_of(thread, threads), M, N, rows);
      const DeltaBeside<rank, N> beside(delta.data(), index.data(), scale, dx.data());
      multiply<T>(part.rows, part.columns, K, rows, StraightPairs<N, bf16>{w.data()}, StoreRows<N, float>{dx.data()}, aligned(scratch), beside);
    }
    return dx;
  };
  const std::vector<float> one = run(1);
  for (const int threads : {3, -3}) same_bits("backward pairs", one, run(threads));
  for (std::int64_t i = 0; i < M * N; i++) {
    double sum = 0, magnitude = 0;
    for (std::int64_t k = 0; k < K; k++) {
      double weight = value(w[static_cast<std::size_t>(k * N + i % N)]);
      for (std::int64_t j = 0; j < rank; j++) {
        if (index[static_cast<std::size_t>(j)] != i % N) continue;
        const float update = scale * delta[static_cast<std::size_t>(k * rank + j)];
        weight += packed(update);
      }
      const double term = packed(dy[static_cast<std::size_t>(i / N * K + k)]) * weight;
      sum += term;
      magnitude += std::abs(term);
    }
    judge("backward pairs", i, one[static_cast<std::size_t>(i)], sum, magnitude);
  }
}

/// Sums are one chain whether k is cut into slices or not, at the edges too; stored as bf16, or past the caches, they give the same values.
template <std::int64_t M, std::int64_t K, std::int64_t N, class X, class T>
void check_stores() {
  const std::vector<X> x = numbers<X>(M * K, 11);
  const std::vector<bf16> w = numbers<bf16>(N * K, 12);
  std::vector<Vec> scratch = scratch_of(T::kScratch + 64);
  std::vector<float> y(M * N, NAN);
  const auto run_as = [&]<class Sizes>(const auto& store, Sizes) {
    for (int thread = 0; thread < 3; thread++) {
      const Worker worker{thread, 3, aligned(scratch), nullptr, nullptr};
      product<Sizes>(worker, M, N, K, paired_rows_of<Sizes, M, K>(x.data()), TransposedPairs<K>{w.data()}, store);
    }
  };
  const auto run = [&](const auto& store) { run_as(store, T{}); };
  run(StoreRows<N, float>{y.data()});
  std::vector<float> whole(M * N, NAN);
  run_as(StoreRows<N, float>{whole.data()}, Tiles<T::MR, T::NV, T::KC, T::MC, T::NC, T::kUnroll, T::kFetch, true>{});
  if (std::memcmp(y.data(), whole.data(), y.size() * sizeof(float)) != 0 && wrong++ < 10) std::printf("slices of k give other bits\n");
  const auto check = [&]<class E, bool streams>(const char* what, E) {
    if constexpr (!streams || N * sizeof(E) % 64 == 0) {
      std::vector<Vec> space = scratch_of(M * N * static_cast<std::int64_t>(sizeof(E)) + 64);
      E* const other = reinterpret_cast<E*>(aligned(space));
      run(StoreRows<N, E, None, None, streams>{other});
      for (std::int64_t i = 0; i < M * N; i++) {
        if (to_float(other[i]) == to_float(round_to<E>(y[static_cast<std::size_t>(i)])) || wrong++ >= 10) continue;
        std::printf("%s [%lld]: %.9g, expected %.9g\n", what, static_cast<long long>(i), to_float(other[i]), y[static_cast<std::size_t>(i)]);
      }
    }
  };
  check.template operator()<bf16, false>("stored as bf16", {});
  check.template operator()<bf16, true>("streamed as bf16", {});
  check.template operator()<float, true>("streamed", {});
}

constexpr int L = Vec::lanes;

/// Tiles for pairs; of tile registers 4 x 1, 2 x 2, or 1 high where MR is small or NV is 3.
template <int mr, int nv, int kc, int mc, int nc, int unroll, int fetch>
using PairTiles = Tiles<kHasTiles ? (mr <= 4 || nv > 2 ? 16 : nv == 1 ? 64 : 32) : mr, nv, kc, kHasTiles ? 64 : mc, nc, unroll, fetch, true>;

/// Tiles of tile registers whose k is cut further, `slice` at a time.
template <int mr, int nv, int kc, int mc, int nc, int fetch, int slice>
using SlicedTiles = Tiles<mr, nv, kc, mc, nc, 1, fetch, true, kHasTiles ? slice : kc>;

void check_pairs() {
  check_forward_pairs<37, 53, 71, 0, bf16, PairTiles<4, 2, 16, 12, 4 * L, 4, 0>>();
  check_forward_pairs<37, 53, 71, 5, float, PairTiles<4, 2, 16, 12, 4 * L, 4, 7>>();
  check_forward_pairs<5, 7, 3, 1, bf16, PairTiles<6, 2, 9, 6, 2 * L, 8, 3>>();
  check_forward_pairs<1, 1, 1, 1, float, PairTiles<2, 1, 3, 12, L, 4, 1>>();
  check_backward_pairs<37, 53, 71, 5, float, PairTiles<4, 2, 16, 12, 4 * L, 4, 0>>();
  check_backward_pairs<37, 64, 48, 48, bf16, PairTiles<6, 2, 64, 24, 6 * L, 2, 7>>();
  check_backward_pairs<1, 1, 1, 1, float, PairTiles<2, 1, 1, 12, L, 4, 1>>();
  // SmolLM2's widths, few tokens.
  check_forward_pairs<61, 576, 1536, 16, float, PairTiles<6, 2, 592, 24, 384, 4, 7>>();
  check_forward_pairs<61, 1536, 576, 16, float, PairTiles<6, 2, 784, 24, 384, 4, 7>>();
  check_backward_pairs<61, 1536, 576, 16, float, PairTiles<6, 2, 1536, 24, 384, 4, 7>>();
  // Whole tiles of rows and of k, which tile registers load in place; k cut, and its last slice half an extension.
  check_forward_pairs<48, 96, 71, 0, bf16, PairTiles<4, 3, 96, 12, 6 * L, 4, 7>>();
  check_forward_pairs<80, 96, 71, 40, bf16, PairTiles<6, 2, 64, 12, 4 * L, 4, 7>>();
  check_forward_pairs<80, 64, 71, 16, bf16, PairTiles<6, 1, 80, 12, 4 * L, 4, 0>>();
  check_backward_pairs<112, 96, 71, 5, bf16, PairTiles<4, 3, 64, 12, 6 * L, 4, 7>>();
  check_backward_pairs<16, 64, 48, 48, bf16, PairTiles<6, 2, 64, 24, 4 * L, 2, 0>>();
  // Slices: of rows loaded in place and packed, whose last is an extension's or ends within a tile; panels without a neighbour.
  check_forward_pairs<80, 96, 71, 40, bf16, SlicedTiles<32, 1, 136, 32, 4 * L, 7, 64>>();
  check_forward_pairs<61, 96, 48, 16, float, SlicedTiles<48, 1, 112, 96, 6 * L, 5, 32>>();
  check_forward_pairs<37, 71, 53, 5, float, SlicedTiles<16, 2, 77, 64, 4 * L, 1, 32>>();
  // A last panel beside one that is stored together with it, or goes to C by itself.
  check_forward_pairs<61, 96, 55, 5, float, SlicedTiles<32, 1, 102, 64, 4 * L, 7, 64>>();
  check_forward_pairs<64, 40, 55, 0, bf16, SlicedTiles<32, 1, 40, 32, 4 * L, 5, 40>>();
  check_backward_pairs<61, 96, 55, 5, bf16, SlicedTiles<32, 1, 96, 32, 4 * L, 7, 32>>();
  check_backward_pairs<112, 160, 71, 5, bf16, SlicedTiles<32, 1, 96, 64, 6 * L, 7, 64>>();
  check_backward_pairs<37, 130, 53, 5, float, SlicedTiles<32, 2, 130, 32, 4 * L, 5, 96>>();
  check_stores<80, 128, 96, bf16, SlicedTiles<32, 1, 128, 32, 4 * L, 7, 64>>();
  check_stores<61, 100, 128, float, SlicedTiles<48, 1, 100, 96, 6 * L, 5, 32>>();
  check_stores<48, 96, 71, bf16, SlicedTiles<16, 3, 96, 48, 6 * L, 0, 32>>();
  check_stores<61, 200, 71, float, SlicedTiles<32, 1, 200, 64, 6 * L, 5, 64>>();
  check_stores<33, 96, 64, bf16, PairTiles<6, 2, 96, 12, 4 * L, 4, 1>>();
}

template <class X, class E, bool transposed>
void check_products() {
  check_product<37, 53, 71, X, E, transposed, Tiles<4, 2, 16, 12, 4 * L>>();
  check_product<37, 64, 48, X, E, transposed, Tiles<6, 2, 64, 24, 6 * L, 2, 7>>();
  check_product<5, 7, 3, X, E, transposed, Tiles<6, 2, 7, 6, 2 * L, 8, 3>>();
  check_product<64, 96, 33, X, E, transposed, Tiles<4, 3, 48, 8, 6 * L, 1, 7>>();
  check_product<1, 1, 1, X, E, transposed, Tiles<12, 1, 1, 12, L, 4, 1>>();
}

}  // namespace

int main() {
  check_visits<37, 20, 5 * Vec::lanes + 3, Tiles<4, 1, 16, 12, 32>>();
  check_visits<203, 8, Vec::lanes, Tiles<4, 1, 8, 12, 32>>();
  if (kHasTiles && !allow_tiles()) return 2;
  check_products<float, float, true>();
  check_products<float, float, false>();
  check_products<float, bf16, true>();
  check_products<bf16, bf16, false>();
  check_thin<16, 100, 130, float, float, Tiles<4, 3, 32, 4, 6 * L, 4, 1>>();
  check_thin<16, 96, 130, bf16, bf16, Tiles<4, 3, 64, 4, 12 * L, 4, 1>>();
  check_thin<7, 61, 33, float, bf16, Tiles<6, 2, 32, 6, 4 * L, 2, 0>>();
  check_thin<1, 5, 3, float, float, Tiles<4, 3, 3, 4, 3 * L, 4, 1>>();
  check_thin<64, 200, 70, bf16, float, Tiles<4, 2, 32, 4, 8 * L, 8, 1>>();
#ifdef PACAC_ISA_AMX_BF16
  check_thin_in_tiles<16, 100, 130, bf16, bf16, 64, 64>();
  check_thin_in_tiles<17, 61, 33, bf16, float, 32, 32>();
  check_thin_in_tiles<1, 5, 3, bf16, bf16, 32, 64>();
  check_thin_in_tiles<64, 200, 70, float, bf16, 96, 96>();
#endif
  check_dot_pairs();
  check_pairs();
  return wrong == 0 ? 0 : 1;
}
