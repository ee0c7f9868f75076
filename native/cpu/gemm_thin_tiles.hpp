// The gradient of a thin matrix (gemm_thin.hpp) in tile registers: C[O,R] += scale Σ_t dy[t,o] x[t,r], dy and x rounded to bf16.
//
// Sums stand transposed, [R][NC], in scratch, and are products A B of
//
//   A   xᵀ, pairs along t, packed once: [32 tokens][tiles of 16 r]
//   B   dy, two rows joined to lines of pairs, KC tokens of NC columns at a time: nothing is transposed
#pragma once
#include "cpu/gemm.hpp"

namespace pacac {

/// How R columns of x are cut: `high` tiles a block, `blocks` of them.
template <std::int64_t R>
struct ThinRows {
  static constexpr int high = R > 16 ? 2 : 1;
  static constexpr std::int64_t block = 16 * high, blocks = (R + block - 1) / block, padded = block * blocks;
};

/// Bytes of a thread's scratch for `tokens` tokens: sums, A, and B.
template <std::int64_t R, int KC, int NC>
constexpr std::int64_t thin_tile_scratch(std::int64_t tokens) {
  return 4 * (ThinRows<R>::padded * NC + (tokens + 31) / 32 * ThinRows<R>::padded * kPairsTogether + std::int64_t{KC} / 2 * NC);
}

/// One vector of columns of rows t and t + 1 as pairs; `columns` of them exist, and rows below `tokens`.
template <std::int64_t stride, class E>
[[gnu::always_inline]] inline Vec token_pairs(const E* from, std::int64_t t, std::int64_t tokens, std::int64_t columns) {
  if (columns >= Vec::lanes && t + 1 < tokens) return pairs_across(from + t * stride, from + (t + 1) * stride);
  const auto row = [&](std::int64_t i) {
    if (i >= tokens || columns <= 0) return zero();
    return columns >= Vec::lanes ? load(from + i * stride) : load_partial(from + i * stride, static_cast<int>(columns));
  };
  return join_rounded(row(t), row(t + 1));
}

/// A: xᵀ of all tokens.
template <std::int64_t R, class X>
void pack_thin_rows(float* to, const X* x, std::int64_t tokens) {
  using Rows = ThinRows<R>;
  for (std::int64_t t = 0; t < tokens; t += 32) {
    for (std::int64_t r = 0; r < Rows::padded; r += Vec::lanes, to += 16 * kPairsTogether) {
      Vec pairs[Vec::lanes], out[Vec::lanes];
      for (int i = 0; i < Vec::lanes; i++) pairs[i] = token_pairs<R>(x + r, t + 2 * i, tokens, R - r);
      transpose(pairs, out);
      for (int i = 0; i < Vec::lanes; i++) store(to + i * kPairsTogether, out[i]);
    }
  }
}

/// C[o,r] += scale Σ_t dy[t,o] x[t,r] for `columns` o, t < tokens. `scratch` has thin_tile_scratch bytes, 64-byte aligned.
template <std::int64_t R, std::int64_t O, int KC, int NC, class X, class E>
void thin_product_in_tiles(Worker::Range columns, std::int64_t tokens, const X* x, const E* dy, float scale, float* c, std::byte* scratch) {
  static_assert(KC % 32 == 0 && NC % 32 == 0);
  constexpr std::int64_t kLine = 64 / sizeof(E);
  using Rows = ThinRows<R>;
  if (columns.begin == columns.end) return;
  const TileRegisters registers;
  float* const sums = reinterpret_cast<float*>(scratch);
  float* const lines = sums + Rows::padded * NC;
  float* const packed = lines + std::int64_t{KC} / 2 * NC;
  pack_thin_rows<R>(packed, x, tokens);
  for (std::int64_t n = columns.begin; n < columns.end; n += NC) {
    const std::int64_t wide = smaller(NC, columns.end - n), padded = (wide + 31) / 32 * 32;
    for (std::int64_t i = 0; i < Rows::padded * NC; i++) sums[i] = 0.0f;
    for (std::int64_t t = 0; t < tokens; t += KC) {
      const std::int64_t steps = (smaller(KC, tokens - t) + 31) / 32;
      for (std::int64_t i = 0; i < 32 * steps; i += 2) {
        float* const line = lines + i / 2 * NC;
        for (std::int64_t j = 0; j < padded; j += Vec::lanes) {
          // Rows lie so far apart that the processor does not see what comes next: the same columns, KC tokens on.
          if (j % kLine == 0) fetch_rows(dy, (t + KC + i) * O + n + j, O, 2, kLine, Share{0, 1});
          store(line + j, token_pairs<O>(dy + n + j, t + i, tokens, wide - j));
        }
      }
      for (std::int64_t b = 0; b < Rows::blocks; b++) {
        const float* const a = packed + t / 32 * Rows::padded * kPairsTogether + b * Rows::block * kPairsTogether;
        for (std::int64_t j = 0; j < padded; j += 32) {
          multiply_tiles<Rows::high, 2, true>({{a, kPairsTogether, Rows::padded * kPairsTogether, steps}, {}}, lines + j, NC,
                                              sums + b * Rows::block * NC + j, NC);
        }
      }
    }
    for (std::int64_t o = 0; o < wide; o++) {
      float* const row = c + (n + o) * R;
      for (std::int64_t r = 0; r < R; r++) row[r] += scale * sums[r * NC + o];
    }
  }
}

}  // namespace pacac
