// What both attention passes share: shapes, tiles copied to scratch, the mask, exponentials, and who does which tile.
//
// Scores are kept transposed, S[key, query]: queries are vector lanes. So the maximum and the sum over keys are
// lane-wise, nothing is ever reduced across a register, and what a panel of scores is multiplied with next (V, K)
// is read as it lies. Scores are logarithms to base 2: log2 e is folded into the scale of the queries.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/sweep.hpp"
#include "cpu/tile_product.hpp"
#include "cpu/vec.hpp"
#include "runtime/kernel.hpp"

namespace pacac::attention {

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
/// What a score of a key later than the query falls by, at least: far below kLowestMaximum, and finite, so that no
/// inf − inf arises.
constexpr float kMasked = 1e30f;
/// The running maximum before any key was seen. 2^(−kMasked − kLowestMaximum) = 0.
constexpr float kLowestMaximum = -1e20f;

/// Floats of `count` elements in whole cache lines, an odd number of them: rows that far apart fall into all sets
/// of a cache.
constexpr int spread(int count) { return 16 * ((count + 15) / 16 | 1); }

/// Shapes of a call. Heads query heads share KvHeads heads of keys and values; Rows × Vectors sums are in registers.
template <int Heads, int KvHeads, int HeadDim, int SeqLen, int QueryTile, int KeyTile, int Rows, int Vectors>
struct Shape {
  static constexpr int heads = Heads, kv_heads = KvHeads, head_dim = HeadDim, seq_len = SeqLen;
  static constexpr int group = Heads / KvHeads;        ///< query heads of a key and value head
  static constexpr int query_width = Heads * HeadDim;  ///< elements of a row of q, y
  static constexpr int kv_width = KvHeads * HeadDim;   ///< elements of a row of k, v
  static constexpr int rows = Rows, vectors = Vectors;
  static constexpr int panel = Vectors * Vec::lanes;  ///< queries side by side in registers
  static constexpr int query_tile = QueryTile, key_tile = KeyTile;
  static constexpr int panels = QueryTile / panel;   ///< of a tile, each head
  static constexpr int columns = group * QueryTile;  ///< queries of all heads of a tile
  static constexpr int padded_dim = (HeadDim + Vec::lanes - 1) / Vec::lanes * Vec::lanes;
  static constexpr int row_stride = spread(padded_dim);  ///< floats between copied rows of q, k, v, dy
  static constexpr int panel_size = HeadDim * panel;     ///< floats of a panel [d, query]
  static_assert(QueryTile % panel == 0, "a query tile is whole panels");
};

/// Cuts a workspace into arrays; the sum of their sizes is what the compiler reserved.
class Scratch {
 public:
  explicit Scratch(std::byte* memory) : next_(reinterpret_cast<float*>(memory)) {}
  /// The next `count` floats, each array from a cache line on.
  float* take(std::int64_t count) {
    float* const taken = next_;
    next_ += (count + 15) / 16 * 16;
    return taken;
  }

 private:
  float* next_;
};

/// 2^x in each lane to about 2e-7 relative, for x < 128; below −127 it is 0. NaN stays NaN.
///
/// x = n + r with integer n and |r| <= 1/2. 2^r is a polynomial fitted to the least relative error, 1 at 0. Adding
/// 1.5 · 2^23 leaves n in the lowest bits, from where it is added to the exponent.
[[gnu::always_inline]] inline Vec power_of_two(Vec x) {
  typedef std::int32_t Bits __attribute__((vector_size(sizeof(Vec))));
  const Vec shift = broadcast(12582912.0f);
  x = max(broadcast(-127.0f), x);
  const Vec shifted = x + shift;
  const Vec r = x - (shifted - shift);
  Vec series = broadcast(0.0013264727f);
  series = fma(series, r, broadcast(0.009671513f));
  series = fma(series, r, broadcast(0.055507336f));
  series = fma(series, r, broadcast(0.24022242f));
  series = fma(series, r, broadcast(0.693147f));
  series = fma(series, r, broadcast(1.0f));
  Bits n, bits;
  std::memcpy(&n, &shifted, sizeof n);
  std::memcpy(&bits, &series, sizeof bits);
  bits += n << 23;
  std::memcpy(&series, &bits, sizeof bits);
  return series;
}

/// rows × HeadDim elements as float32 times `scale`; columns beyond, up to whole vectors, are undefined but finite.
template <class S, class T>
inline void copy_tile(float* to, const T* from, std::int64_t from_stride, int rows, float scale) {
  const Vec factor = broadcast(scale);
  for (int row = 0; row < rows; ++row) {
    const T* const source = from + row * from_stride;
    float* const target = to + row * S::row_stride;
    sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) { store(target + d, lanes.load(source + d) * factor); });
  }
}

/// to[d, lane] = from[lane, d] · scale for a vector of queries, of which `there` exist; the other lanes become 0.
/// `there` is a constant where all do, which leaves no branch in the transposition.
template <class S, class T>
[[gnu::always_inline]] inline void transpose_lanes(float* to, const T* from, int there, float scale) {
  constexpr int kWhole = S::head_dim / Vec::lanes * Vec::lanes;
  const Vec factor = broadcast(scale);
  for (int d = 0; d < kWhole; d += Vec::lanes) {
    Vec block[Vec::lanes];
    transpose_load(from + d, S::query_width, there, block);
    for (int j = 0; j < Vec::lanes; ++j) store(to + (d + j) * S::panel, block[j] * factor);
  }
  for (int d = kWhole; d < S::head_dim; ++d) {
    store(to + d * S::panel, zero());
    for (int i = 0; i < there; ++i) to[d * S::panel + i] = to_float(from[i * S::query_width + d]) * scale;
  }
}

/// A panel [d, query] of `count` queries, times `scale`; lanes of queries that are not there become 0.
template <class S, class T>
inline void transpose_panel(float* to, const T* from, int count, float scale) {
  for (int lane = 0; lane < S::panel; lane += Vec::lanes) {
    const T* const source = from + std::int64_t{lane} * S::query_width;
    if (count - lane >= Vec::lanes) {
      transpose_lanes<S>(to + lane, source, Vec::lanes, scale);
    } else {
      transpose_lanes<S>(to + lane, source, std::max(0, count - lane), scale);
    }
  }
}

/// to[lane, d] = from[d, lane] · factor[lane] for a vector of queries, of which `there` exist.
template <class S, class T>
[[gnu::always_inline]] inline void untranspose_lanes(T* to, const float* from, int there, Vec factor) {
  sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) {
    Vec block[Vec::lanes];
    float scaled[Vec::lanes * Vec::lanes];
    const int deep = std::min<int>(Vec::lanes, S::head_dim - static_cast<int>(d));
    for (int j = 0; j < deep; ++j) store(scaled + j * Vec::lanes, load(from + (d + j) * S::panel) * factor);
    transpose_load(scaled, Vec::lanes, deep, block);
    for (int i = 0; i < there; ++i) lanes.store(to + i * S::query_width + d, block[i]);
  });
}

/// Rows of a tensor from a panel [d, query]: to[query, d] = from[d, query] · factor[query].
template <class S, class T>
inline void untranspose_panel(T* to, const float* from, int count, const Vec (&factor)[S::vectors]) {
  for (int v = 0; v * Vec::lanes < count; ++v) {
    const int lane = v * Vec::lanes;
    T* const target = to + std::int64_t{lane} * S::query_width;
    if (count - lane >= Vec::lanes) {
      untranspose_lanes<S>(target, from + lane, Vec::lanes, factor[v]);
    } else {
      untranspose_lanes<S>(target, from + lane, count - lane, factor[v]);
    }
  }
}

/// Queries [query, query + queries) of the document that begins at `start`; all are absolute tokens.
struct QueryTile {
  std::int64_t start, query;
  int queries;
  std::int64_t end() const { return query + queries; }
};

/// A panel of queries against a tile of keys: which rows of scores there are, and which of them need a mask.
struct Rows {
  int limit;     ///< keys that the last query sees; later ones are not computed
  int unmasked;  ///< the first keys, which every query sees
  int offset;    ///< the first key, counted from the first query
};

/// The rows of the panel of `count` queries from `query`, against keys [key, key + keys).
template <class S>
inline Rows rows_of(std::int64_t query, int count, std::int64_t key, int keys) {
  const int limit = static_cast<int>(std::clamp<std::int64_t>(query + count - key, 0, keys));
  const int visible = static_cast<int>(std::clamp<std::int64_t>(query + 1 - key, 0, limit));
  return {limit, visible == limit ? limit : visible / S::rows * S::rows, static_cast<int>(key - query)};
}

/// Lowers the scores of lanes whose query comes before the key: lane < key.
template <int Vectors>
[[gnu::always_inline]] inline void mask(Vec (&score)[Vectors], int key) {
  alignas(64) static constexpr float kLane[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
      22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
      44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  static_assert(Vectors * Vec::lanes <= 64);
  for (int v = 0; v < Vectors; ++v) {
    const Vec ahead = min(zero(), load(kLane + v * Vec::lanes) - broadcast(static_cast<float>(key)));
    score[v] = fma(ahead, broadcast(kMasked), score[v]);
  }
}

/// Scores of a panel, keys [begin, end): Σ_d keys[key, d] · queries_t[d, query], masked or not. They are handed over
/// a block at a time: finish(row, scores) for each key.
template <class S, bool Masked, class Finish>
[[gnu::always_inline]] inline void scores(const float* keys, const float* queries_t, int begin, int end, int offset,
                                          const Finish& finish) {
  each_block<S::rows>(begin, end, [&](auto size, int row) {
    Vec sum[decltype(size)::value][S::vectors];
    clear(sum);
    multiply_add<S::row_stride, 1, S::panel>(keys + row * S::row_stride, queries_t, S::head_dim, sum);
    for (int r = 0; r < size; ++r) {
      if constexpr (Masked) mask(sum[r], offset + row + r);
      finish(row + r, sum[r]);
    }
  });
}

/// panel[d, query] = panel · factor + Σ_key rows[key, d] · weights[key, query] over `keys` keys.
template <class S, int WeightStride, class Factor>
inline void add_weighted(float* panel, const float* rows, const float* weights, int keys, const Factor& factor) {
  each_block<S::rows>(0, S::head_dim, [&](auto size, int d) {
    Vec sum[decltype(size)::value][S::vectors];
    float* const target = panel + d * S::panel;
    for (int r = 0; r < size; ++r)
      for (int v = 0; v < S::vectors; ++v) sum[r][v] = factor(v, load(target + r * S::panel + v * Vec::lanes));
    multiply_add<1, S::row_stride, WeightStride>(rows + d, weights, keys, sum);
    for (int r = 0; r < size; ++r)
      for (int v = 0; v < S::vectors; ++v) store(target + r * S::panel + v * Vec::lanes, sum[r][v]);
  });
}

/// Gives query tiles to threads. Tiles are numbered row by row, head by head, from the end of a row to its start;
/// each has a cost; a thread has those whose middle falls into its share of the sum. So a thread's tiles are neighbours.
template <class S>
class Partition {
 public:
  /// @param start first token of each token's document
  /// @param bounds the threads' shares (Worker::bounds)
  /// @param whole whether all tiles of a row and head are one thread's
  Partition(const std::int32_t* start, std::int64_t tokens, const Worker& worker, const double* bounds, bool whole = false)
      : start_(start), tokens_(tokens), threads_(std::min(worker.threads, kMaxThreads)),
        bounds_(worker.threads > kMaxThreads ? nullptr : bounds), whole_(whole) {
    std::int64_t largest = measure();
    // Shorter tiles where the longest are much of a thread's share.
    while (tile_ > S::panel && largest * 8 * threads_ > total_) {
      tile_ = (tile_ / 2 + S::panel - 1) / S::panel * S::panel;
      largest = measure();
    }
  }

  static constexpr int kMaxThreads = 256;

  /// Calls visit(tile, owner) for the tiles of the next row and head.
  template <class Visit>
  void next(std::int64_t row, const Visit& visit) {
    std::int64_t all = 0;
    if (whole_) walk(row, [&](const QueryTile& tile) { all += cost(tile); });
    const int one = owner_of(before_ + all / 2);
    walk(row, [&](const QueryTile& tile) {
      const std::int64_t middle = before_ + cost(tile) / 2;
      before_ += cost(tile);
      visit(tile, whole_ ? one : owner_of(middle));
    });
  }

 private:
  int owner_of(std::int64_t cost) const {
    if (bounds_ == nullptr) return static_cast<int>(cost * threads_ / total_);
    int owner = 0;
    while (owner + 1 < threads_ && static_cast<double>(cost) >= bounds_[owner + 1] * static_cast<double>(total_)) ++owner;
    return owner;
  }

  /// Pairs of query and key, of a whole number of vectors, and what a query costs besides.
  static std::int64_t cost(const QueryTile& tile) {
    constexpr std::int64_t kQuery = 24;
    const std::int64_t lanes = (tile.queries + Vec::lanes - 1) / Vec::lanes * Vec::lanes;
    return lanes * (tile.query - tile.start + lanes / 2 + kQuery);
  }

  /// Tiles of a document begin at its first token; they are visited from the last to the first.
  template <class Visit>
  void walk(std::int64_t row, const Visit& visit) const {
    for (std::int64_t end = row + S::seq_len; end > row;) {
      const std::int64_t first = start_[end - 1];
      const std::int64_t query = first + (end - 1 - first) / tile_ * tile_;
      visit(QueryTile{first, query, static_cast<int>(end - query)});
      end = query;
    }
  }

  /// Adds up all costs and finds the largest.
  std::int64_t measure() {
    std::int64_t largest = 0;
    total_ = 0;
    for (std::int64_t row = 0; row < tokens_; row += S::seq_len) {
      walk(row, [&](const QueryTile& tile) {
        largest = std::max(largest, cost(tile));
        total_ += S::kv_heads * cost(tile);
      });
    }
    return largest;
  }

  const std::int32_t* start_;
  std::int64_t tokens_, total_ = 0, before_ = 0;
  int threads_, tile_ = S::query_tile;
  const double* bounds_;
  bool whole_;
};

/// Visits this thread's tiles of queries of `tokens` tokens, each with one key and value head.
template <class S, class Visit>
void own_tiles(const std::int32_t* start, std::int64_t tokens, const Worker& worker, const Visit& visit) {
  Partition<S> partition(start, tokens, worker, worker.bounds);
  for (std::int64_t row = 0; row < tokens; row += S::seq_len) {
    for (int kv_head = 0; kv_head < S::kv_heads; ++kv_head) {
      partition.next(row, [&](const QueryTile& tile, int owner) {
        if (owner == worker.thread) visit(tile, kv_head);
      });
    }
  }
}

/// A panel of a tile: `count` queries from `query`, of one head; `index` counts panels of the tile and its heads.
struct Panel {
  std::int64_t query;
  int count, head, index;
};

template <class S, class Visit>
void each_panel(const QueryTile& tile, int kv_head, const Visit& visit) {
  for (int g = 0; g < S::group; ++g) {
    for (int p = 0; p * S::panel < tile.queries; ++p) {
      const int count = std::min(S::panel, tile.queries - p * S::panel);
      visit(Panel{tile.query + p * S::panel, count, kv_head * S::group + g, g * S::panels + p});
    }
  }
}

/// Rows of y and lse of a finished panel: y = O / l, lse = m ln 2 + log l.
template <class S, class Y, class L>
void write_panel(Y* y, L* lse, const Panel& panel, const float* out_t, const float* maximum, const float* total) {
  const int column = panel.index * S::panel;
  Vec inverse[S::vectors];
  for (int v = 0; v < S::vectors; ++v) inverse[v] = broadcast(1.0f) / load(total + column + v * Vec::lanes);
  untranspose_panel<S>(y + panel.query * S::query_width + panel.head * S::head_dim, out_t + panel.index * S::panel_size,
                       panel.count, inverse);
  for (int i = 0; i < panel.count; ++i) {
    lse[(panel.query + i) * S::heads + panel.head] = round_to<L>(maximum[column + i] * kLn2 + std::log(total[column + i]));
  }
}

}  // namespace pacac::attention
