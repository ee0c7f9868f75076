// Attention forward as in attention_forward.hpp, its products in tile registers. P is rounded to bf16 for the product with V; its sum,
// the maximum and O are float32.
//
//   per key tile and panel of 32 queries:  S = K Qᵀ [key, query];  m' = max(m, max_key S);  P = 2^(S − m')
//                                          l = l · 2^(m − m') + Σ_key P;  Oᵀ = Oᵀ · 2^(m − m') + Vᵀ P [d, query]
//   at the end:                            y = O / l,  lse = m ln 2 + log l
#pragma once
#include "cpu/attention_tiles.hpp"

namespace pacac::attention {

/// Operands of the forward pass; `scale` is positive.
template <class S, class Q, class K, class V, class Y, class L>
struct ForwardInTiles {
  static_assert(S::panel == kBlock && S::key_tile % kBlock == 0 && S::head_dim % kStep == 0);
  const Q* q;                 // [T, heads · head_dim]
  const K* k;                 // [T, kv_heads · head_dim]
  const V* v;                 // [T, kv_heads · head_dim]
  const std::int32_t* start;  // [T]
  Y* y;                       // [T, heads · head_dim]
  L* lse;                     // [T, heads]
  float scale;

  /// This thread's tiles of `tokens` tokens.
  void run(std::int64_t tokens, const Worker& worker) const {
    const TileRegisters registers;
    own_tiles<S>(start, tokens, worker, [&](const QueryTile& tile, int kv_head) { attend(tile, kv_head, Tiles(worker.scratch)); });
  }

 private:
  static constexpr int kSteps = S::head_dim / kStep;
  static constexpr int kQueries = S::panel * S::head_dim / 2;  ///< floats of a panel of queries

  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *keys, *values_t;                           // A: K [key, d], Vᵀ [d, key]
    float *scores[2], *weights;                       // of one panel: S [key, query], P as B
    float *queries, *out_t, *maximum, *total;         // a part for each panel of each head of the group: Qᵀ as B, Oᵀ [d, query]
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      keys = scratch.take(S::key_tile * S::head_dim / 2);
      values_t = scratch.take(S::key_tile * S::head_dim / 2);
      for (float*& one : scores) one = scratch.take(S::key_tile * S::panel);
      weights = scratch.take(S::key_tile * S::panel / 2);
      queries = scratch.take(S::columns * S::head_dim / 2);
      out_t = scratch.take(S::columns * S::head_dim);
      maximum = scratch.take(S::columns);
      total = scratch.take(S::columns);
    }
  };

  void attend(const QueryTile& tile, int kv_head, const Tiles& tiles) const {
    each_panel<S>(tile, kv_head, [&](const Panel& panel) { begin(tiles, panel); });
    for (std::int64_t key = tile.start; key < tile.end(); key += S::key_tile) {
      const int keys = static_cast<int>(std::min<std::int64_t>(S::key_tile, tile.end() - key));
      const std::int64_t at = key * S::kv_width + kv_head * S::head_dim;
      row_blocks<S>(tiles.keys, k + at, S::kv_width, keys);
      column_blocks<S>(tiles.values_t, v + at, S::kv_width, keys, S::key_tile);
      Seen panels[S::columns / S::panel];
      int count = 0;
      each_panel<S>(tile, kv_head, [&](const Panel& panel) {
        const Rows rows = rows_of<S>(panel.query, panel.count, key, keys);
        if (rows.limit > 0) panels[count++] = {panel.index, rows};
      });
      for (int half = 0; count > 0 && half < panels[0].halves(); ++half) scores(tiles, panels[0], half, 0);
      for (int i = 0; i < count; ++i) {
        softmax(tiles, panels[i], i + 1 < count ? &panels[i + 1] : nullptr, i % 2);
        add_values(tiles, panels[i].index, panels[i].rows);
      }
    }
    each_panel<S>(tile, kv_head, [&](const Panel& panel) { end(tiles, panel); });
  }

  void begin(const Tiles& tiles, const Panel& panel) const {
    row_columns<S>(tiles.queries + panel.index * kQueries, q + panel.query * S::query_width + panel.head * S::head_dim, panel.count);
    std::fill_n(tiles.out_t + panel.index * S::panel_size, S::panel_size, 0.0f);
    std::fill_n(tiles.maximum + panel.index * S::panel, S::panel, kLowestMaximum);
    std::fill_n(tiles.total + panel.index * S::panel, S::panel, 0.0f);
  }

  /// A panel, and what it sees of a tile of keys.
  struct Seen {
    int index;
    Rows rows;
    /// Halves of blocks of S.
    int halves() const { return 2 * ((rows.limit + kBlock - 1) / kBlock); }
  };

  /// Half a block of S of a panel.
  [[gnu::always_inline]] void scores(const Tiles& tiles, const Seen& panel, int half, int buffer) const {
    const int key = half / 2 * kBlock;
    half_product<false>(half % 2, tiles.keys + key * S::head_dim / 2, tiles.queries + panel.index * kQueries, kBlock, kSteps,
                        tiles.scores[buffer] + key * S::panel, S::panel);
  }

  /// P, the maximum and the total of a panel whose S is in `buffer`, and what came before times its factor. Between its rows S of the next
  /// is multiplied, into the other.
  [[gnu::noinline]] void softmax(const Tiles& tiles, const Seen& panel, const Seen* next, int buffer) const {
    const int index = panel.index, keys = panel.rows.limit;
    float* const scored = tiles.scores[buffer];
    Vec highest[2] = {broadcast(kLowestMaximum), broadcast(kLowestMaximum)};
    for (int key = 0; key < keys; ++key) {
      float* const row = scored + key * S::panel;
      Vec score[2] = {load(row), load(row + Vec::lanes)};
      if (key >= panel.rows.unmasked) {
        mask(score, panel.rows.offset + key);
        for (int v = 0; v < 2; ++v) store(row + v * Vec::lanes, score[v]);
      }
      for (int v = 0; v < 2; ++v) highest[v] = max(highest[v], score[v]);
    }
    const Vec to_log2 = broadcast(scale * kLog2E);
    Vec lowered[2], sum[2], factor[2];
    for (int v = 0; v < 2; ++v) {
      const int lane = index * S::panel + v * Vec::lanes;
      const Vec before = load(tiles.maximum + lane), now = max(before, highest[v] * to_log2);
      factor[v] = power_of_two(before - now);
      sum[v] = load(tiles.total + lane) * factor[v];
      lowered[v] = zero() - now;
      store(tiles.maximum + lane, now);
    }
    const auto weight = [&](int key, int v) {
      if (key >= keys) return zero();
      const Vec p = power_of_two(fma(load(scored + key * S::panel + v * Vec::lanes), to_log2, lowered[v]));
      sum[v] = sum[v] + p;
      return p;
    };
    int half = 0;
    const int halves = next == nullptr ? 0 : next->halves();
    for (int key = 0; key < (keys + kStep - 1) / kStep * kStep; key += 2) {
      if (key % (kBlock / 2) == 0 && half < halves) scores(tiles, *next, half++, 1 - buffer);
      for (int v = 0; v < 2; ++v) {
        const Vec first = weight(key, v), second = weight(key + 1, v);
        store(tiles.weights + key / 2 * S::panel + v * Vec::lanes, join_rounded(first, second));
      }
    }
    while (half < halves) scores(tiles, *next, half++, 1 - buffer);
    for (int v = 0; v < 2; ++v) store(tiles.total + index * S::panel + v * Vec::lanes, sum[v]);
    float* const out = tiles.out_t + index * S::panel_size;
    for (int d = 0; d < S::head_dim; ++d) {
      for (int v = 0; v < 2; ++v) store(out + d * S::panel + v * Vec::lanes, load(out + d * S::panel + v * Vec::lanes) * factor[v]);
    }
  }

  /// Oᵀ of one panel, with the values of a tile.
  [[gnu::noinline]] void add_values(const Tiles& tiles, int index, const Rows& rows) const {
    for (int d = 0; d < S::head_dim; d += kBlock) {
      block_product<true>(tiles.values_t + d * S::key_tile / 2, tiles.weights, S::panel, (rows.limit + kStep - 1) / kStep,
                          tiles.out_t + index * S::panel_size + d * S::panel, S::panel);
    }
  }

  void end(const Tiles& tiles, const Panel& panel) const {
    write_panel<S>(y, lse, panel, tiles.out_t, tiles.maximum, tiles.total);
  }
};

}  // namespace pacac::attention
