// Attention backward over a query tile and the heads of one group (Dao 2023, algorithm 2), scores transposed as in
// forward: [key, query].
//
//   P = 2^(K (scale log2 e Q)ᵀ − lse log2 e);  delta_i = Σ_d dy y;  G = P ∘ (V dyᵀ − delta)
//   dV += P dy;   dK += G (scale Q);   dQᵀ = scale Kᵀ G
//
// Queries of all heads of the group stand side by side as columns of P and G, so a block of dV or dK is in registers
// while all of them are summed.
#pragma once
#include "cpu/attention_walk.hpp"

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

  /// This thread's tiles of `tokens` tokens, and its part of the rows that threads share.
  void run(std::int64_t tokens, const Worker& worker) const { BackwardWalk<S, Backward>(*this).run(tokens, worker); }

 private:
  friend class BackwardWalk<S, Backward>;
  static constexpr int kWeightStride = spread(S::columns);  ///< floats between rows of P and G
  static constexpr std::int64_t kSums = std::int64_t{S::seq_len} * S::padded_dim;

  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *queries, *queries_t, *dy, *dy_t, *dq_t, *lse, *delta;  // a part for each head of the group
    float *keys, *values, *p, *g;
    float *dk[2], *dv[2];  // [seq_len, padded_dim]: of a row that the thread enters midway, and of others
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      queries = scratch.take(S::columns * S::row_stride);
      queries_t = scratch.take(S::columns * S::head_dim);
      dy = scratch.take(S::columns * S::row_stride);
      dy_t = scratch.take(S::columns * S::head_dim);
      dq_t = scratch.take(S::columns * S::head_dim);
      lse = scratch.take(S::columns);
      delta = scratch.take(S::columns);
      keys = scratch.take(S::key_tile * S::row_stride);
      values = scratch.take(S::key_tile * S::row_stride);
      p = scratch.take(S::key_tile * kWeightStride);
      g = scratch.take(S::key_tile * kWeightStride);
      for (float*& one : dk) one = scratch.take(kSums);
      for (float*& one : dv) one = scratch.take(kSums);
    }
  };

  /// A panel of a unit: `count` queries from `query`, of one head, at `column` of P and G.
  struct Panel {
    std::int64_t query;
    int count, head, column;
  };

  template <class Visit>
  static void each_panel(const Unit& unit, const Visit& visit) {
    for (int g = 0; g < S::group; ++g) {
      for (int at = 0; at < unit.tile.queries; at += S::panel) {
        const int count = std::min(S::panel, unit.tile.queries - at);
        visit(Panel{unit.tile.query + at, count, unit.kv_head * S::group + g, g * S::query_tile + at});
      }
    }
  }

  /// Queries were multiplied by log2 e.
  static constexpr float key_factor() { return kLn2; }

  void attend(const Tiles& tiles, const Unit& unit) const {
    each_panel(unit, [&](const Panel& panel) { begin(tiles, panel); });
    for (std::int64_t key = unit.tile.start; key < unit.tile.end(); key += S::key_tile) {
      const int keys = static_cast<int>(std::min<std::int64_t>(S::key_tile, unit.tile.end() - key));
      const std::int64_t at = key * S::kv_width + unit.kv_head * S::head_dim;
      copy_tile<S>(tiles.keys, k + at, S::kv_width, keys, 1.0f);
      copy_tile<S>(tiles.values, v + at, S::kv_width, keys, 1.0f);
      const auto each = [&](auto step) {
        each_panel(unit, [&](const Panel& panel) {
          const Rows rows = rows_of<S>(panel.query, panel.count, key, keys);
          if (rows.limit > 0) step(panel, rows);
        });
      };
      each([&](const Panel& panel, const Rows& rows) { probabilities(tiles, panel.column, rows, keys); });
      each([&](const Panel& panel, const Rows& rows) { score_gradients(tiles, panel.column, rows); });
      each([&](const Panel& panel, const Rows& rows) { query_gradients(tiles, panel.column, rows); });
      key_gradients(tiles.dv[unit.slot], tiles.p, tiles.dy, unit, key, keys);
      key_gradients(tiles.dk[unit.slot], tiles.g, tiles.queries, unit, key, keys);
    }
    each_panel(unit, [&](const Panel& panel) { end(tiles, panel); });
  }

  void begin(const Tiles& tiles, const Panel& panel) const {
    const std::int64_t at = panel.query * S::query_width + panel.head * S::head_dim;
    float* const upstream = tiles.dy + panel.column * S::row_stride;
    copy_tile<S>(tiles.queries + panel.column * S::row_stride, q + at, S::query_width, panel.count, scale * kLog2E);
    copy_tile<S>(upstream, dy + at, S::query_width, panel.count, 1.0f);
    transpose_panel<S>(tiles.queries_t + panel.column * S::head_dim, q + at, panel.count, scale * kLog2E);
    transpose_panel<S>(tiles.dy_t + panel.column * S::head_dim, dy + at, panel.count, 1.0f);
    std::fill_n(tiles.dq_t + panel.column * S::head_dim, S::panel_size, 0.0f);
    const L* const row_lse = lse + panel.query * S::heads + panel.head;
    row_statistics<S>(y + at, dy + at, row_lse, panel.count, tiles.lse + panel.column, tiles.delta + panel.column);
  }

  /// P of a panel. Below the last key that it sees, a block of key_gradients reads up to Rows − 1 keys more.
  [[gnu::noinline]] void probabilities(const Tiles& tiles, int column, const Rows& rows, int keys) const {
    const float* const queries_t = tiles.queries_t + column * S::head_dim;
    Vec lse[S::vectors];
    for (int v = 0; v < S::vectors; ++v) lse[v] = load(tiles.lse + column + v * Vec::lanes);
    const auto keep = [&](int row, const Vec(&score)[S::vectors]) {
      float* const p = tiles.p + row * kWeightStride + column;
      for (int v = 0; v < S::vectors; ++v) store(p + v * Vec::lanes, power_of_two(score[v] - lse[v]));
    };
    scores<S, false>(tiles.keys, queries_t, 0, rows.unmasked, rows.offset, keep);
    scores<S, true>(tiles.keys, queries_t, rows.unmasked, rows.limit, rows.offset, keep);
    for (int row = rows.limit; row < std::min(keys, rows.limit + S::rows - 1); ++row) {
      std::fill_n(tiles.p + row * kWeightStride + column, S::panel, 0.0f);
      std::fill_n(tiles.g + row * kWeightStride + column, S::panel, 0.0f);
    }
  }

  /// G of a panel, whose P is there.
  [[gnu::noinline]] void score_gradients(const Tiles& tiles, int column, const Rows& rows) const {
    Vec delta[S::vectors];
    for (int v = 0; v < S::vectors; ++v) delta[v] = load(tiles.delta + column + v * Vec::lanes);
    scores<S, false>(tiles.values, tiles.dy_t + column * S::head_dim, 0, rows.limit, 0,
                     [&](int row, const Vec(&score)[S::vectors]) {
                       const std::int64_t at = row * kWeightStride + column;
                       for (int v = 0; v < S::vectors; ++v) {
                         const Vec p = load(tiles.p + at + v * Vec::lanes);
                         store(tiles.g + at + v * Vec::lanes, p * (score[v] - delta[v]));
                       }
                     });
  }

  /// dQᵀ += Kᵀ G of a panel.
  [[gnu::noinline]] void query_gradients(const Tiles& tiles, int column, const Rows& rows) const {
    add_weighted<S, kWeightStride>(tiles.dq_t + column * S::head_dim, tiles.keys, tiles.g + column, rows.limit,
                                   [](int, Vec before) { return before; });
  }

  /// sums[key, d] += Σ_query weights[key, query] · rows[query, d] over the queries of all heads that see a key.
  [[gnu::noinline]] void key_gradients(float* sums, const float* weights, const float* rows, const Unit& unit,
                                       std::int64_t key, int keys) const {
    constexpr int kWide = S::vectors * Vec::lanes;
    float* const target = sums + (key - unit.row) * S::padded_dim;
    const int offset = static_cast<int>(key - unit.tile.query);
    int d = 0;
    for (; d + kWide <= S::padded_dim; d += kWide) {
      add_columns<S::vectors>(target + d, weights, rows + d, unit, keys, offset);
    }
    for (; d < S::padded_dim; d += Vec::lanes) add_columns<1>(target + d, weights, rows + d, unit, keys, offset);
  }

  template <int Vectors>
  static void add_columns(float* sums, const float* weights, const float* rows, const Unit& unit, int keys, int offset) {
    each_block<S::rows>(0, keys, [&](auto size, int key) {
      Vec sum[decltype(size)::value][Vectors];
      float* const target = sums + key * S::padded_dim;
      for (int r = 0; r < size; ++r)
        for (int v = 0; v < Vectors; ++v)
          sum[r][v] = unit.first ? zero() : load(target + r * S::padded_dim + v * Vec::lanes);
      const int begin = std::max(0, offset + key);  // the first query that sees the first key
      for (int g = 0; g < S::group; ++g) {
        const int column = g * S::query_tile + begin;
        multiply_add<kWeightStride, 1, S::row_stride>(weights + key * kWeightStride + column,
                                                      rows + column * S::row_stride, unit.tile.queries - begin, sum);
      }
      for (int r = 0; r < size; ++r)
        for (int v = 0; v < Vectors; ++v) store(target + r * S::padded_dim + v * Vec::lanes, sum[r][v]);
    });
  }

  void end(const Tiles& tiles, const Panel& panel) const {
    Vec factor[S::vectors];
    for (int v = 0; v < S::vectors; ++v) factor[v] = broadcast(scale);
    untranspose_panel<S>(dq + panel.query * S::query_width + panel.head * S::head_dim,
                         tiles.dq_t + panel.column * S::head_dim, panel.count, factor);
  }
};

}  // namespace pacac::attention
