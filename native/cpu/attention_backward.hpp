// Attention backward over one row of the batch and one key and value head (Dao 2023, algorithm 2), everything
// transposed as in forward: [key, query].
//
//   P = exp(K (scale Q)ᵀ − lse);  delta_i = Σ_d dy y;  G = P ∘ (V dyᵀ − delta)
//   dV += P dy;   dK += G (scale Q);   dQ = scale Gᵀ K
//
// dK and dV of the row are summed over heads, then query tiles, always in that order.
#pragma once
#include "cpu/attention.hpp"

namespace pacac::attention {

/// Operands of the backward pass.
template <class S, class DY, class Q, class K, class V, class Y, class L, class DQ, class DK, class DV>
struct Backward {
  const DY* dy;               // [T, heads · head_dim]
  const Q* q;                 // [T, heads · head_dim]
  const K* k;                 // [T, kv_heads · head_dim]
  const V* v;                 // [T, kv_heads · head_dim]
  const Y* y;                 // [T, heads · head_dim]
  const L* lse;               // [T, heads]
  const std::int32_t* start;  // [T]
  DQ* dq;                     // [T, heads · head_dim]
  DK* dk;                     // [T, kv_heads · head_dim]
  DV* dv;                     // [T, kv_heads · head_dim]
  float scale;

  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *queries, *queries_t, *dy, *dy_t, *dq, *keys, *values, *p, *g, *lse, *delta, *dk, *dv;
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      queries = scratch.take(S::query_tile * S::padded_dim);
      queries_t = scratch.take(S::head_dim * S::query_tile);
      dy = scratch.take(S::query_tile * S::padded_dim);
      dy_t = scratch.take(S::head_dim * S::query_tile);
      dq = scratch.take(S::query_tile * S::padded_dim);
      keys = scratch.take(S::key_tile * S::padded_dim);
      values = scratch.take(S::key_tile * S::padded_dim);
      p = scratch.take(S::key_tile * S::query_tile);
      g = scratch.take(S::key_tile * S::query_tile);
      lse = scratch.take(S::query_tile);
      delta = scratch.take(S::query_tile);
      dk = scratch.take(S::seq_len * S::padded_dim);
      dv = scratch.take(S::seq_len * S::padded_dim);
    }
  };

  /// The row of tokens [first, first + seq_len), key and value head `kv_head`.
  void row(std::int64_t first, int kv_head, std::byte* memory) const {
    const Tiles tiles(memory);
    std::fill_n(tiles.dk, S::seq_len * S::padded_dim, 0.0f);
    std::fill_n(tiles.dv, S::seq_len * S::padded_dim, 0.0f);
    for (int head = kv_head * S::group; head < (kv_head + 1) * S::group; ++head) {
      for (int at = 0; at < S::seq_len; at += S::query_tile) {
        query_tile(tiles, first, first + at, std::min(S::query_tile, S::seq_len - at), head);
      }
    }
    const std::int64_t at = first * S::kv_width + kv_head * S::head_dim;
    copy_out(dk + at, S::kv_width, tiles.dk, S::seq_len, 1.0f);
    copy_out(dv + at, S::kv_width, tiles.dv, S::seq_len, 1.0f);
  }

  /// What row() costs: pairs of query and key that are visited.
  static std::int64_t cost(const std::int32_t* start, std::int64_t first) {
    std::int64_t total = 0;
    for (int at = 0; at < S::seq_len; at += S::query_tile) {
      total += tile_cost(start, first + at, std::min(S::query_tile, S::seq_len - at));
    }
    return total;
  }

 private:
  void query_tile(const Tiles& tiles, std::int64_t first, std::int64_t query, int queries, int head) const {
    load_queries(tiles, query, queries, head);
    const std::int64_t end = query + queries;
    for (std::int64_t key = start[query]; key < end; key += S::key_tile) {
      const Span span{query, key, queries, static_cast<int>(std::min<std::int64_t>(S::key_tile, end - key))};
      const std::int64_t at = key * S::kv_width + head / S::group * S::head_dim;
      copy_tile<S>(tiles.keys, k + at, S::kv_width, span.keys, 1.0f);
      copy_tile<S>(tiles.values, v + at, S::kv_width, span.keys, 1.0f);
      scores(tiles, span);
      gradients(tiles, span, (key - first) * S::padded_dim);
    }
    copy_out(dq + query * S::query_width + head * S::head_dim, S::query_width, tiles.dq, queries, scale);
  }

  void load_queries(const Tiles& tiles, std::int64_t query, int queries, int head) const {
    const std::int64_t at = query * S::query_width + head * S::head_dim;
    copy_tile<S>(tiles.queries, q + at, S::query_width, queries, scale);
    copy_tile<S>(tiles.dy, dy + at, S::query_width, queries, 1.0f);
    transpose_queries<S>(tiles.queries_t, tiles.queries, queries);
    transpose_queries<S>(tiles.dy_t, tiles.dy, queries);
    std::fill_n(tiles.dq, queries * S::padded_dim, 0.0f);
    std::fill_n(tiles.lse, S::query_tile, 0.0f);
    std::fill_n(tiles.delta, S::query_tile, 0.0f);
    for (int i = 0; i < queries; ++i) {
      const Y* const out = y + at + i * S::query_width;
      const float* const upstream = tiles.dy + i * S::padded_dim;
      Vec dot = zero();
      sweep(0, S::head_dim,
            [&](std::int64_t d, auto lanes) { dot = fma(lanes.load(out + d), load(upstream + d), dot); });
      tiles.delta[i] = sum(dot);
      tiles.lse[i] = to_float(lse[(query + i) * S::heads + head]);
    }
  }

  /// P and G of a pair of tiles.
  void scores(const Tiles& tiles, const Span& span) const {
    const int columns = columns_of(span);
    S::template product<false>(span.keys, columns, S::head_dim, {tiles.keys, S::padded_dim, 1},
                               {tiles.queries_t, S::query_tile}, {tiles.p, S::query_tile});
    S::template product<false>(span.keys, columns, S::head_dim, {tiles.values, S::padded_dim, 1},
                               {tiles.dy_t, S::query_tile}, {tiles.g, S::query_tile});
    mask<S>(tiles.p, span, start);
    for (int key = 0; key < span.keys; ++key) {
      float* const p = tiles.p + key * S::query_tile;
      float* const g = tiles.g + key * S::query_tile;
      for (int lane = 0; lane < columns; lane += Vec::lanes) {
        const Vec probability = exp(load(p + lane) - load(tiles.lse + lane));
        store(p + lane, probability);
        store(g + lane, probability * (load(g + lane) - load(tiles.delta + lane)));
      }
    }
  }

  void gradients(const Tiles& tiles, const Span& span, std::int64_t at) const {
    S::template product<true>(span.keys, S::padded_dim, span.queries, {tiles.p, S::query_tile, 1},
                              {tiles.dy, S::padded_dim}, {tiles.dv + at, S::padded_dim});
    S::template product<true>(span.keys, S::padded_dim, span.queries, {tiles.g, S::query_tile, 1},
                              {tiles.queries, S::padded_dim}, {tiles.dk + at, S::padded_dim});
    S::template product<true>(span.queries, S::padded_dim, span.keys, {tiles.g, 1, S::query_tile},
                              {tiles.keys, S::padded_dim}, {tiles.dq, S::padded_dim});
  }

  /// Rows of a padded float32 tile, times `factor`, to a tensor.
  template <class T>
  static void copy_out(T* to, std::int64_t to_stride, const float* from, int rows, float factor) {
    const Vec times = broadcast(factor);
    for (int row = 0; row < rows; ++row) {
      T* const target = to + row * to_stride;
      const float* const source = from + row * S::padded_dim;
      sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) { lanes.store(target + d, load(source + d) * times); });
    }
  }
};

}  // namespace pacac::attention
