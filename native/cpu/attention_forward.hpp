// Attention forward over one query tile and the heads of one group: online softmax (Milakov and Gimelshein
// 2018; Dao 2023), so that no row of scores is ever whole.
//
//   per key tile:  S = K Qᵀ [key, query];  m' = max(m, max_key S);  P = 2^(S − m');
//                  l = l · 2^(m − m') + Σ_key P;  Oᵀ = Oᵀ · 2^(m − m') + Vᵀ P [d, query]
//   at the end:    y = O / l,  lse = m ln 2 + log l
//
// A tile of keys stays in the L1 cache while all panels of queries meet it, then the tile of values does.
#pragma once
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

  /// This thread's tiles of `tokens` tokens.
  void run(std::int64_t tokens, const Worker& worker) const {
    own_tiles<S>(start, tokens, worker, [&](const QueryTile& tile, int kv_head) { attend(tile, kv_head, Tiles(worker.scratch)); });
  }

 private:
  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *keys, *values;
    float *queries_t, *out_t, *scores, *maximum, *total, *factor;  // a part for each panel of each head of the group
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      keys = scratch.take(S::key_tile * S::row_stride);
      values = scratch.take(S::key_tile * S::row_stride);
      queries_t = scratch.take(S::columns * S::head_dim);
      out_t = scratch.take(S::columns * S::head_dim);
      scores = scratch.take(S::columns * S::key_tile);
      maximum = scratch.take(S::columns);
      total = scratch.take(S::columns);
      factor = scratch.take(S::columns);
    }
  };

  void attend(const QueryTile& tile, int kv_head, const Tiles& tiles) const {
    each_panel<S>(tile, kv_head, [&](const Panel& panel) { begin(tiles, panel); });
    for (std::int64_t key = tile.start; key < tile.end(); key += S::key_tile) {
      const int keys = static_cast<int>(std::min<std::int64_t>(S::key_tile, tile.end() - key));
      const std::int64_t at = key * S::kv_width + kv_head * S::head_dim;
      copy_tile<S>(tiles.keys, k + at, S::kv_width, keys, 1.0f);
      copy_tile<S>(tiles.values, v + at, S::kv_width, keys, 1.0f);
      const auto each = [&](auto step) {
        each_panel<S>(tile, kv_head, [&](const Panel& panel) {
          const Rows rows = rows_of<S>(panel.query, panel.count, key, keys);
          if (rows.limit > 0) step(panel.index, rows);
        });
      };
      each([&](int index, const Rows& rows) { probabilities(tiles, index, rows); });
      each([&](int index, const Rows& rows) { add_values(tiles, index, rows); });
    }
    each_panel<S>(tile, kv_head, [&](const Panel& panel) { end(tiles, panel); });
  }

  void begin(const Tiles& tiles, const Panel& panel) const {
    transpose_panel<S>(tiles.queries_t + panel.index * S::panel_size,
                       q + panel.query * S::query_width + panel.head * S::head_dim, panel.count, scale * kLog2E);
    std::fill_n(tiles.out_t + panel.index * S::panel_size, S::panel_size, 0.0f);
    std::fill_n(tiles.maximum + panel.index * S::panel, S::panel, kLowestMaximum);
    std::fill_n(tiles.total + panel.index * S::panel, S::panel, 0.0f);
  }

  /// P of one panel and one tile of keys.
  [[gnu::noinline]] void probabilities(const Tiles& tiles, int index, const Rows& rows) const {
    const float* const queries_t = tiles.queries_t + index * S::panel_size;
    float* const to = tiles.scores + index * S::panel * S::key_tile;
    Vec highest[S::vectors];
    for (int v = 0; v < S::vectors; ++v) highest[v] = load(tiles.maximum + index * S::panel + v * Vec::lanes);
    const auto keep = [&](int row, const Vec(&score)[S::vectors]) {
      for (int v = 0; v < S::vectors; ++v) {
        highest[v] = max(highest[v], score[v]);
        store(to + row * S::panel + v * Vec::lanes, score[v]);
      }
    };
    attention::scores<S, false>(tiles.keys, queries_t, 0, rows.unmasked, rows.offset, keep);
    attention::scores<S, true>(tiles.keys, queries_t, rows.unmasked, rows.limit, rows.offset, keep);
    softmax(tiles, index, rows.limit, highest);
  }

  /// Scores become P; maximum, total and the factor of what came before follow.
  static void softmax(const Tiles& tiles, int index, int keys, const Vec (&highest)[S::vectors]) {
    const int column = index * S::panel;
    Vec sum[S::vectors];
    for (int v = 0; v < S::vectors; ++v) {
      const int lane = column + v * Vec::lanes;
      const Vec factor = power_of_two(load(tiles.maximum + lane) - highest[v]);
      sum[v] = load(tiles.total + lane) * factor;
      store(tiles.maximum + lane, highest[v]);
      store(tiles.factor + lane, factor);
    }
    float* const scores = tiles.scores + column * S::key_tile;
    for (int key = 0; key < keys; ++key) {
      for (int v = 0; v < S::vectors; ++v) {
        float* const score = scores + key * S::panel + v * Vec::lanes;
        const Vec p = power_of_two(load(score) - highest[v]);
        sum[v] = sum[v] + p;
        store(score, p);
      }
    }
    for (int v = 0; v < S::vectors; ++v) store(tiles.total + column + v * Vec::lanes, sum[v]);
  }

  /// Oᵀ of one panel, with the values of a tile.
  [[gnu::noinline]] void add_values(const Tiles& tiles, int index, const Rows& rows) const {
    const float* const factor = tiles.factor + index * S::panel;
    add_weighted<S, S::panel>(tiles.out_t + index * S::panel_size, tiles.values,
                              tiles.scores + index * S::panel * S::key_tile, rows.limit,
                              [&](int v, Vec before) { return before * load(factor + v * Vec::lanes); });
  }

  void end(const Tiles& tiles, const Panel& panel) const {
    write_panel<S>(y, lse, panel, tiles.out_t, tiles.maximum, tiles.total);
  }
};

}  // namespace pacac::attention
