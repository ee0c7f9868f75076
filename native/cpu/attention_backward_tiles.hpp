// Attention backward as in attention_backward.hpp, its products in tile registers. P and G are rounded to bf16 for the products that
// they enter; all sums are float32.
//
//   per 32 keys and 32 queries:  S = K Qᵀ, dP = V dyᵀ [key, query];  P = 2^(scale log2 e S − lse log2 e);  G = P ∘ (dP − delta)
//   per panel of queries:        dQᵀ += Kᵀ G [d, query]
//   per 32 keys:                 dV += P dy, dK += G Q [key, d], over the panels that see them
//
// Panels of all heads of the group stand side by side, all heads of the first 32 queries before those of the next, so that the panels
// that see a key are neighbours and one sum.
#pragma once
#include "cpu/attention_tiles.hpp"
#include "cpu/attention_walk.hpp"

namespace pacac::attention {

/// Operands of the backward pass.
template <class S, class DY, class Q, class K, class V, class Y, class L, class DQ, class DK, class DV>
struct BackwardInTiles {
  static_assert(S::panel == kBlock && S::key_tile % kBlock == 0 && S::head_dim % kStep == 0 && S::padded_dim == S::head_dim);
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
  void run(std::int64_t tokens, const Worker& worker) const {
    const TileRegisters registers;
    BackwardWalk<S, BackwardInTiles>(*this).run(tokens, worker);
  }

 private:
  friend class BackwardWalk<S, BackwardInTiles>;
  static constexpr int kSteps = S::head_dim / kStep;
  static constexpr int kPanel = S::panel * S::head_dim / 2;   ///< floats of a panel of queries as B
  static constexpr int kPanels = S::columns / S::panel;       ///< of all heads
  static constexpr int kMostBlocks = kPanels * (S::key_tile / kBlock);
  static constexpr int kWeightBlock = kPanels * kBlockStep;   ///< floats of P or G, 32 keys, all panels
  static constexpr std::int64_t kSums = std::int64_t{S::seq_len} * S::padded_dim;

  /// Arrays of a thread, carved from its workspace.
  struct Tiles {
    float *queries_t, *queries, *dy_t, *dy, *dq_t, *lse, *delta;  // a part for each panel; as B [d, query] and [query, d]; dQᵀ [d, query]
    float *keys, *keys_t, *values;                                // A: K [key, d], Kᵀ [d, key], V [key, d]
    float *p, *g;                                                 // A: [key, query] of all panels
    float *g_lines;                                               // G of one panel as B [key, query]
    float *scores[2], *upstream[2];                               // S and dP of 32 keys and 32 queries; a block of dK or dV at an edge
    float *dk[2], *dv[2];                                         // [seq_len, padded_dim]
    explicit Tiles(std::byte* memory) {
      Scratch scratch(memory);
      for (float** one : {&queries_t, &queries, &dy_t, &dy}) *one = scratch.take(S::columns * S::head_dim / 2);
      dq_t = scratch.take(S::columns * S::head_dim);
      lse = scratch.take(S::columns);
      delta = scratch.take(S::columns);
      for (float** one : {&keys, &keys_t, &values}) *one = scratch.take(S::key_tile * S::head_dim / 2);
      p = scratch.take(S::key_tile * S::columns / 2);
      g = scratch.take(S::key_tile * S::columns / 2);
      g_lines = scratch.take(S::key_tile * S::panel / 2);
      for (float*& one : scores) one = scratch.take(kBlock * kBlock);
      for (float*& one : upstream) one = scratch.take(kBlock * kBlock);
      for (float*& one : dk) one = scratch.take(kSums);
      for (float*& one : dv) one = scratch.take(kSums);
    }
  };

  template <class Visit>
  static void each_panel(const Unit& unit, const Visit& visit) {
    for (int at = 0, index = 0; at < unit.tile.queries; at += S::panel) {
      const int count = std::min(S::panel, unit.tile.queries - at);
      for (int g = 0; g < S::group; ++g, ++index) visit(Panel{unit.tile.query + at, count, unit.kv_head * S::group + g, index});
    }
  }

  float key_factor() const { return scale; }

  void attend(const Tiles& tiles, const Unit& unit) const {
    each_panel(unit, [&](const Panel& panel) { begin(tiles, panel); });
    for (std::int64_t key = unit.tile.start; key < unit.tile.end(); key += S::key_tile) {
      const int keys = static_cast<int>(std::min<std::int64_t>(S::key_tile, unit.tile.end() - key));
      const std::int64_t at = key * S::kv_width + unit.kv_head * S::head_dim;
      row_blocks<S>(tiles.keys, k + at, S::kv_width, keys);
      column_blocks<S>(tiles.keys_t, k + at, S::kv_width, keys, S::key_tile);
      row_blocks<S>(tiles.values, v + at, S::kv_width, keys);
      Block blocks[kMostBlocks];
      int count = 0;
      each_panel(unit, [&](const Panel& panel) {
        const Rows rows = rows_of<S>(panel.query, panel.count, key, keys);
        for (int first = 0; first < rows.limit; first += kBlock) blocks[count++] = {panel.index, first, rows};
      });
      for (int part = 0; part < 4 && count > 0; ++part) products(tiles, blocks[0], part / 2, part % 2, 0);
      for (int i = 0; i < count; ++i) {
        const Block& block = blocks[i];
        gradients(tiles, block, i + 1 < count ? &blocks[i + 1] : nullptr, i % 2);
        if (block.key + kBlock >= block.rows.limit) query_gradients(tiles, block.panel, block.rows);
      }
      key_gradients(tiles, tiles.dv[unit.slot], tiles.p, tiles.dy, {unit, key, keys});
      key_gradients(tiles, tiles.dk[unit.slot], tiles.g, tiles.queries, {unit, key, keys});
    }
    each_panel(unit, [&](const Panel& panel) { end(tiles, panel); });
  }

  void begin(const Tiles& tiles, const Panel& panel) const {
    const std::int64_t at = panel.query * S::query_width + panel.head * S::head_dim;
    const int column = panel.index * S::panel;
    row_columns<S>(tiles.queries_t + panel.index * kPanel, q + at, panel.count);
    row_lines<S>(tiles.queries + panel.index * kPanel, q + at, panel.count);
    row_columns<S>(tiles.dy_t + panel.index * kPanel, dy + at, panel.count);
    row_lines<S>(tiles.dy + panel.index * kPanel, dy + at, panel.count);
    std::fill_n(tiles.dq_t + panel.index * S::panel_size, S::panel_size, 0.0f);
    const L* const row_lse = lse + panel.query * S::heads + panel.head;
    row_statistics<S>(y + at, dy + at, row_lse, panel.count, tiles.lse + column, tiles.delta + column);
  }

  /// 32 keys of a tile, from `key` on, and a panel that sees some of them.
  struct Block {
    int panel, key;
    Rows rows;
  };

  /// Half of S of a block, or of dP.
  [[gnu::always_inline]] void products(const Tiles& tiles, const Block& block, bool upstream, int half, int buffer) const {
    const float* const a = (upstream ? tiles.values : tiles.keys) + block.key * S::head_dim / 2;
    const float* const b = (upstream ? tiles.dy_t : tiles.queries_t) + block.panel * kPanel;
    float* const c = upstream ? tiles.upstream[buffer] : tiles.scores[buffer];
    half_product<false>(half, a, b, kBlock, kSteps, c, kBlock);
  }

  /// P and G of a block whose products are in `buffer`; between its rows those of the next are multiplied, into the other.
  [[gnu::noinline]] void gradients(const Tiles& tiles, const Block& block, const Block* next, int buffer) const {
    const auto& [index, key, rows] = block;
    const float *const scores = tiles.scores[buffer], *const upstream = tiles.upstream[buffer];
    const Vec to_log2 = broadcast(scale * kLog2E);
    Vec lowered[2], delta[2];
    for (int v = 0; v < 2; ++v) {
      lowered[v] = zero() - load(tiles.lse + index * S::panel + v * Vec::lanes);
      delta[v] = load(tiles.delta + index * S::panel + v * Vec::lanes);
    }
    float* const p_rows = tiles.p + key / kBlock * kWeightBlock + index * kBlockStep;
    float* const g_rows = tiles.g + key / kBlock * kWeightBlock + index * kBlockStep;
    for (int row = 0; row < kBlock; row += 2) {
      if (row % (kBlock / 2) == 0 && next != nullptr) {
        for (int half = 0; half < 2; ++half) products(tiles, *next, row > 0, half, 1 - buffer);
      }
      alignas(64) float p[2][kBlock], g[2][kBlock];
      for (int i = 0; i < 2; ++i) {
        const int at = key + row + i;
        Vec score[2];
        for (int v = 0; v < 2; ++v) score[v] = load(scores + (row + i) * kBlock + v * Vec::lanes);
        if (at >= rows.unmasked) mask(score, rows.offset + at);
        for (int v = 0; v < 2; ++v) {
          const Vec weight = at < rows.limit ? power_of_two(fma(score[v], to_log2, lowered[v])) : zero();
          store(p[i] + v * Vec::lanes, weight);
          store(g[i] + v * Vec::lanes, weight * (load(upstream + (row + i) * kBlock + v * Vec::lanes) - delta[v]));
        }
        store(p_rows + (row + i) * kPairsTogether, pairs_along(p[i]));
        store(g_rows + (row + i) * kPairsTogether, pairs_along(g[i]));
      }
      for (int v = 0; v < 2; ++v) {
        store(tiles.g_lines + (key + row) / 2 * S::panel + v * Vec::lanes, pairs_across(g[0] + v * Vec::lanes, g[1] + v * Vec::lanes));
      }
    }
  }

  /// dQᵀ += Kᵀ G of a panel.
  [[gnu::noinline]] void query_gradients(const Tiles& tiles, int index, const Rows& rows) const {
    for (int d = 0; d < S::head_dim; d += kBlock) {
      block_product<true>(tiles.keys_t + d * S::key_tile / 2, tiles.g_lines, S::panel, (rows.limit + kStep - 1) / kStep,
                          tiles.dq_t + index * S::panel_size + d * S::panel, S::panel);
    }
  }

  /// A tile of keys of a unit.
  struct Keys {
    const Unit& unit;
    std::int64_t key;
    int keys;
  };

  /// sums[key, d] += Σ_query weights[key, query] · lines[query, d] over the panels that see 32 keys.
  [[gnu::noinline]] void key_gradients(const Tiles& tiles, float* sums, const float* weights, const float* lines, const Keys& at) const {
    const int panels = (at.unit.tile.queries + S::panel - 1) / S::panel;
    for (int key = 0; key < at.keys; key += kBlock) {
      const std::int64_t ahead = std::max<std::int64_t>(0, at.key + key - at.unit.tile.query);
      const int first = static_cast<int>(ahead / S::panel) * S::group, steps = panels * S::group - first;
      const float* const a = weights + key / kBlock * kWeightBlock + first * kBlockStep;
      const float* const b = lines + first * kPanel;
      float* const target = sums + (at.key + key - at.unit.row) * S::padded_dim;
      for (int d = 0; d < S::head_dim; d += kBlock) {
        if (at.keys - key < kBlock) {
          block_product<false>(a, b + d, S::head_dim, steps, tiles.scores[0], kBlock);
          add_rows(target + d, tiles.scores[0], at.keys - key, at.unit.first);
        } else if (at.unit.first) {
          block_product<false>(a, b + d, S::head_dim, steps, target + d, S::padded_dim);
        } else {
          block_product<true>(a, b + d, S::head_dim, steps, target + d, S::padded_dim);
        }
      }
    }
  }

  /// Rows of a block that exist; those behind them are another tile's.
  static void add_rows(float* to, const float* block, int rows, bool first) {
    for (int row = 0; row < rows; ++row) {
      for (int v = 0; v < 2; ++v) {
        float* const target = to + row * S::padded_dim + v * Vec::lanes;
        const Vec sum = load(block + row * kBlock + v * Vec::lanes);
        store(target, first ? sum : load(target) + sum);
      }
    }
  }

  void end(const Tiles& tiles, const Panel& panel) const {
    Vec factor[S::vectors];
    for (int v = 0; v < S::vectors; ++v) factor[v] = broadcast(scale);
    untranspose_panel<S>(dq + panel.query * S::query_width + panel.head * S::head_dim, tiles.dq_t + panel.index * S::panel_size,
                         panel.count, factor);
  }
};

}  // namespace pacac::attention
