// Attention forward over one query tile and the heads of one group: online softmax (Milakov and Gimelshein
// 2018; Dao 2023), so that no row of scores is ever whole.
//
//   per key tile:  S = K Qᵀ [key, query];  m' = max(m, max_key S);  P = exp(S − m');
//                  l = l · exp(m − m') + Σ_key P;  O = O · exp(m − m') + Pᵀ V
//   at the end:    y = O / l,  lse = m + log l
#pragma once
#include <cmath>

#include "cpu/attention.hpp"

namespace pacac::attention {

/// Operands of the forward pass.
template <class S, class Q, class K, class V, class Y, class L>
struct Forward {
  const Q* q;                 // [T, heads · head_dim]
  const K* k;                 // [T, kv_heads · head_dim]
  const V* v;                 // [T, kv_heads · head_dim]
  const std::int32_t* start;  // [T]
  Y* y;                       // [T, heads · head_dim]
  L* lse;                     // [T, heads]
  float scale;

  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *queries, *keys, *values, *scores, *rows;
    float *queries_t, *out, *maximum, *total, *factor;  // a part for each head of the group
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      rows = scratch.take(S::query_tile * S::padded_dim);
      keys = scratch.take(S::key_tile * S::padded_dim);
      values = scratch.take(S::key_tile * S::padded_dim);
      scores = scratch.take(S::key_tile * S::query_tile);
      factor = scratch.take(S::query_tile);
      queries_t = scratch.take(S::group * S::head_dim * S::query_tile);
      out = scratch.take(S::group * S::query_tile * S::padded_dim);
      maximum = scratch.take(S::group * S::query_tile);
      total = scratch.take(S::group * S::query_tile);
    }
  };

  /// Queries [query, query + queries) of all heads that share key and value head `kv_head`.
  void tile(std::int64_t query, int queries, int kv_head, std::byte* memory) const {
    const Tiles tiles(memory);
    for (int g = 0; g < S::group; ++g) begin_head(tiles, query, queries, kv_head, g);
    for (std::int64_t key = start[query]; key < query + queries; key += S::key_tile) {
      const int count = static_cast<int>(std::min<std::int64_t>(S::key_tile, query + queries - key));
      const std::int64_t at = key * S::kv_width + kv_head * S::head_dim;
      copy_tile<S>(tiles.keys, k + at, S::kv_width, count, 1.0f);
      copy_tile<S>(tiles.values, v + at, S::kv_width, count, 1.0f);
      for (int g = 0; g < S::group; ++g) key_tile(tiles, {query, key, queries, count}, g);
    }
    for (int g = 0; g < S::group; ++g) end_head(tiles, query, queries, kv_head, g);
  }

 private:
  void begin_head(const Tiles& tiles, std::int64_t query, int queries, int kv_head, int g) const {
    const int head = kv_head * S::group + g;
    copy_tile<S>(tiles.rows, q + query * S::query_width + head * S::head_dim, S::query_width, queries, scale);
    transpose_queries<S>(tiles.queries_t + g * S::head_dim * S::query_tile, tiles.rows, queries);
    std::fill_n(tiles.out + g * S::query_tile * S::padded_dim, queries * S::padded_dim, 0.0f);
    std::fill_n(tiles.maximum + g * S::query_tile, S::query_tile, kLowestMaximum);
    std::fill_n(tiles.total + g * S::query_tile, S::query_tile, 0.0f);
  }

  /// One key tile for one head: scores, softmax so far, O.
  void key_tile(const Tiles& tiles, const Span& span, int g) const {
    const float* const queries_t = tiles.queries_t + g * S::head_dim * S::query_tile;
    float* const out = tiles.out + g * S::query_tile * S::padded_dim;
    S::template product<false>(span.keys, columns_of(span), S::head_dim, {tiles.keys, S::padded_dim, 1},
                               {queries_t, S::query_tile}, {tiles.scores, S::query_tile});
    mask<S>(tiles.scores, span, start);
    for (int lane = 0; lane < columns_of(span); lane += Vec::lanes) softmax(tiles, span, g, lane);
    for (int query = 0; query < span.queries; ++query) {
      if (tiles.factor[query] == 1.0f) continue;
      const Vec factor = broadcast(tiles.factor[query]);
      float* const row = out + query * S::padded_dim;
      for (int d = 0; d < S::padded_dim; d += Vec::lanes) store(row + d, load(row + d) * factor);
    }
    S::template product<true>(span.queries, S::padded_dim, span.keys, {tiles.scores, 1, S::query_tile},
                              {tiles.values, S::padded_dim}, {out, S::padded_dim});
  }

  /// Scores of a vector of queries become P; maximum, total and the factor of what came before follow.
  void softmax(const Tiles& tiles, const Span& span, int g, int lane) const {
    float* const maximum = tiles.maximum + g * S::query_tile + lane;
    float* const total = tiles.total + g * S::query_tile + lane;
    float* const scores = tiles.scores + lane;
    const Vec before = load(maximum);
    Vec highest = before;
    for (int key = 0; key < span.keys; ++key) highest = max(highest, load(scores + key * S::query_tile));
    Vec sum = zero();
    for (int key = 0; key < span.keys; ++key) {
      const Vec p = exp(load(scores + key * S::query_tile) - highest);
      sum = sum + p;
      store(scores + key * S::query_tile, p);
    }
    const Vec factor = exp(before - highest);
    store(total, fma(load(total), factor, sum));
    store(maximum, highest);
    store(tiles.factor + lane, factor);
  }

  void end_head(const Tiles& tiles, std::int64_t query, int queries, int kv_head, int g) const {
    const int head = kv_head * S::group + g;
    for (int i = 0; i < queries; ++i) {
      const float total = tiles.total[g * S::query_tile + i];
      const float* const out = tiles.out + (g * S::query_tile + i) * S::padded_dim;
      Y* const target = y + (query + i) * S::query_width + head * S::head_dim;
      const Vec inverse = broadcast(1.0f / total);
      sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) { lanes.store(target + d, load(out + d) * inverse); });
      lse[(query + i) * S::heads + head] = round_to<L>(tiles.maximum[g * S::query_tile + i] + std::log(total));
    }
  }
};

}  // namespace pacac::attention
