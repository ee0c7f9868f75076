// What both attention passes share: shapes, tiles copied to scratch, the mask, and who does which unit.
//
// Scores are kept transposed, S[key, query]: queries are vector lanes. So the maximum and the sum over keys are
// lane-wise, nothing is ever reduced across a register, and only the query tile has to be transposed, once for
// all keys it meets.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/sweep.hpp"
#include "cpu/tile_product.hpp"
#include "cpu/vec.hpp"
#include "runtime/kernel.hpp"

namespace pacac::attention {

/// A score outside a token's document: far below kLowestMaximum, and finite, so that no inf − inf arises.
constexpr float kMasked = -1e30f;
/// The running maximum before any key was seen. exp(kMasked − kLowestMaximum) = 0.
constexpr float kLowestMaximum = -1e20f;

/// Shapes of a call. H query heads share KvHeads heads of keys and values; blocks are in registers.
template <int Heads, int KvHeads, int HeadDim, int SeqLen, int QueryTile, int KeyTile, int Rows, int Vectors>
struct Shape {
  static constexpr int heads = Heads, kv_heads = KvHeads, head_dim = HeadDim, seq_len = SeqLen;
  static constexpr int group = Heads / KvHeads;          ///< query heads of a key and value head
  static constexpr int query_width = Heads * HeadDim;    ///< elements of a row of q, y
  static constexpr int kv_width = KvHeads * HeadDim;     ///< elements of a row of k, v
  static constexpr int query_tile = QueryTile, key_tile = KeyTile;
  static constexpr int query_tiles = (SeqLen + QueryTile - 1) / QueryTile;
  static constexpr int padded_dim = (HeadDim + Vec::lanes - 1) / Vec::lanes * Vec::lanes;
  static_assert(QueryTile % Vec::lanes == 0, "queries are vector lanes");

  /// C = A · B of tiles, or C += A · B.
  template <bool Add>
  static void product(int rows, int columns, int depth, LeftTile a, RowTile<const float> b, RowTile<float> c) {
    tile_product<Rows, Vectors, Add>(rows, columns, depth, a, b, c);
  }
};

/// Cuts a workspace into arrays; the sum of their sizes is what the compiler reserved.
class Scratch {
 public:
  explicit Scratch(std::byte* memory) : next_(reinterpret_cast<float*>(memory)) {}
  /// The next `count` floats, a multiple of 16, so that each array starts on a cache line.
  float* take(std::int64_t count) {
    float* const taken = next_;
    next_ += (count + 15) / 16 * 16;
    return taken;
  }

 private:
  float* next_;
};

/// rows × HeadDim elements as float32 times `scale`, padded with 0 to whole vectors.
template <class S, class T>
inline void copy_tile(float* to, const T* from, std::int64_t from_stride, int rows, float scale) {
  const Vec factor = broadcast(scale);
  for (int row = 0; row < rows; ++row) {
    const T* const source = from + row * from_stride;
    float* const target = to + row * S::padded_dim;
    sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) { store(target + d, lanes.load(source + d) * factor); });
  }
}

/// to[d, query] = from[query, d]; lanes of queries that are not there become 0.
template <class S>
inline void transpose_queries(float* to, const float* from, int queries) {
  for (int d = 0; d < S::head_dim; ++d) {
    float* const row = to + d * S::query_tile;
    for (int query = 0; query < queries; ++query) row[query] = from[query * S::padded_dim + d];
    std::fill(row + queries, row + S::query_tile, 0.0f);
  }
}

/// A tile of scores: queries [query, query + queries) and keys [key, key + keys), as absolute tokens.
struct Span {
  std::int64_t query, key;
  int queries, keys;
};

/// Query columns of a score tile in whole vectors; the excess lanes hold scores of 0.
inline int columns_of(const Span& span) { return (span.queries + Vec::lanes - 1) / Vec::lanes * Vec::lanes; }

/// Masks scores[key, query] unless start[query] <= key <= query. `start` never falls along a row, so the
/// queries that may see a key are one range, whose ends move forward with the key.
template <class S>
inline void mask(float* scores, const Span& span, const std::int32_t* start) {
  const std::int64_t last_key = span.key + span.keys - 1;
  const bool causal = last_key > span.query;
  const bool crosses = start[span.query + span.queries - 1] > span.key;
  if (!causal && !crosses) return;
  int end = 0;  // queries from here on belong to a later document
  for (int j = 0; j < span.keys; ++j) {
    const std::int64_t key = span.key + j;
    const int begin = static_cast<int>(std::clamp<std::int64_t>(key - span.query, 0, span.queries));
    while (end < span.queries && start[span.query + end] <= key) ++end;
    float* const row = scores + j * S::query_tile;
    std::fill(row, row + begin, kMasked);
    std::fill(row + end, row + span.queries, kMasked);
  }
}

/// Gives units to threads: each to the one with the least work so far. Every thread computes the same
/// assignment, so it depends on the batch and the number of threads alone; no counter is shared.
class Assignment {
 public:
  explicit Assignment(const Worker& worker)
      : thread_(worker.thread), threads_(std::min(worker.threads, kMaxThreads)) {}

  /// Whether the next unit, of that cost, is this thread's.
  bool mine(std::int64_t cost) {
    const auto least = std::min_element(load_, load_ + threads_);
    *least += cost;
    return least - load_ == thread_;
  }

 private:
  static constexpr int kMaxThreads = 256;
  int thread_, threads_;
  std::int64_t load_[kMaxThreads] = {};
};

/// Pairs of query and key that a query tile meets.
inline std::int64_t tile_cost(const std::int32_t* start, std::int64_t query, int queries) {
  return (query + queries - start[query]) * queries;
}

}  // namespace pacac::attention
