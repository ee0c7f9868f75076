// Operands of attention's products in tile registers (tile_registers.hpp), for heads of whole steps of 32 values.
//
// A, of either 32 rows a block: [block][step][row][16 pairs], so that a block is read in the order of its addresses. Its rows are
//   those of a tensor, pairs along d (row_blocks), or its columns, pairs along tokens (column_blocks).
// B, [pair][column]: columns are a tensor's rows, pairs along d (row_columns), or its columns, pairs along tokens (row_lines).
// Rows that are not there are zeros: what is multiplied with them may be anything finite.
#pragma once
#include "cpu/attention.hpp"
#include "cpu/tile_registers.hpp"

namespace pacac::attention {

constexpr int kBlock = 32;                           ///< rows and columns of a product in registers; queries of a panel
constexpr int kStep = 2 * kPairsTogether;            ///< values of the sum in a step
constexpr int kBlockStep = kBlock * kPairsTogether;  ///< floats of a block of A, a step

/// Rows 16 half … of C[32, 32] (+)= Σ A B, in four tile registers (see multiply_tiles).
template <bool add>
[[gnu::always_inline]] inline void half_product(int half, const float* a, const float* b, int b_row, int steps, float* c, int c_row) {
  const TileSteps rows{a + half * (kBlockStep / 2), kPairsTogether, kBlockStep, steps};
  multiply_tiles<1, 2, add>({rows, {}}, b, b_row, c + half * (kBlock / 2) * c_row, c_row);
}

/// C[32, 32] (+)= Σ A B over `steps` steps: a block of A, 32 columns of B and of C, which have b_row and c_row.
template <bool add>
[[gnu::always_inline]] inline void block_product(const float* a, const float* b, int b_row, int steps, float* c, int c_row) {
  for (int half = 0; half < 2; half++) half_product<add>(half, a, b, b_row, steps, c, c_row);
}

/// A[row, d] of `rows` rows, and zeros up to a whole block.
template <class S, class T>
inline void row_blocks(float* to, const T* from, std::int64_t stride, int rows) {
  constexpr int kSteps = S::head_dim / kStep;
  for (int row = 0; row < (rows + kBlock - 1) / kBlock * kBlock; ++row) {
    float* const target = to + row / kBlock * kSteps * kBlockStep + row % kBlock * kPairsTogether;
    for (int s = 0; s < kSteps; ++s) {
      store(target + s * kBlockStep, row < rows ? pairs_along(from + row * stride + s * kStep) : zero());
    }
  }
}

/// The pairs of rows `row` and row + 1, of which those below `rows` are there, at one vector of columns.
template <class T>
[[gnu::always_inline]] inline Vec two_rows(const T* from, std::int64_t stride, int row, int rows) {
  static constexpr T kNothing[Vec::lanes] = {};
  const T* const first = from + row * stride;
  return row >= rows ? zero() : pairs_across(first, row + 1 < rows ? first + stride : kNothing);
}

/// A[d, row]: blocks of 32 d, as many steps as hold `most` rows.
template <class S, class T>
inline void column_blocks(float* to, const T* from, std::int64_t stride, int rows, int most) {
  const int steps = most / kStep;
  for (int s = 0; s * kStep < rows; ++s) {
    for (int d = 0; d < S::head_dim; d += Vec::lanes) {
      Vec pairs[Vec::lanes], out[Vec::lanes];
      for (int i = 0; i < Vec::lanes; ++i) pairs[i] = two_rows(from + d, stride, s * kStep + 2 * i, rows);
      transpose(pairs, out);
      float* const target = to + (d / kBlock * steps + s) * kBlockStep + d % kBlock * kPairsTogether;
      for (int j = 0; j < Vec::lanes; ++j) store(target + j * kPairsTogether, out[j]);
    }
  }
}

/// B[d, row] of a panel of queries.
template <class S, class T>
inline void row_columns(float* to, const T* from, int rows) {
  for (int row = 0; row < kBlock; row += Vec::lanes) {
    for (int d = 0; d < S::head_dim; d += kStep) {
      Vec pairs[Vec::lanes], out[Vec::lanes];
      for (int i = 0; i < Vec::lanes; ++i) {
        pairs[i] = row + i < rows ? pairs_along(from + std::int64_t{row + i} * S::query_width + d) : zero();
      }
      transpose(pairs, out);
      for (int j = 0; j < Vec::lanes; ++j) store(to + (d / 2 + j) * kBlock + row, out[j]);
    }
  }
}

/// B[row, d] of a panel of queries.
template <class S, class T>
inline void row_lines(float* to, const T* from, int rows) {
  for (int row = 0; row < kBlock; row += 2) {
    for (int d = 0; d < S::head_dim; d += Vec::lanes) {
      store(to + row / 2 * S::head_dim + d, two_rows(from + d, S::query_width, row, rows));
    }
  }
}

}  // namespace pacac::attention
