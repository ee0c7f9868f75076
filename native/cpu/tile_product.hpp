// The small matrix product that both attention passes are made of, on float32 tiles in scratch.
//
//   C[m, n] = A[m, k] · B[k, n]      or      C += A · B
//
// Columns of B and C are vector lanes, so n is a multiple of Vec::lanes (scratch is padded). Elements of A are
// broadcast one at a time, so A may lie in any order: rows and steps have a stride each, and a transposed
// A costs nothing. Rows × Vectors accumulators stay in registers while k runs.
#pragma once
#include <cstddef>

#include "cpu/vec.hpp"

namespace pacac {

/// A left operand: element (row, step) lies at data[row * row_stride + step * step_stride].
struct LeftTile {
  const float* data;
  std::ptrdiff_t row_stride, step_stride;
};

/// A row-major tile whose rows are `stride` floats apart.
template <class Float>
struct RowTile {
  Float* data;
  std::ptrdiff_t stride;
};

/// Rows × (Vectors · lanes) of C; per step Vectors loads, Rows broadcasts, Rows · Vectors multiply-adds.
template <int Rows, int Vectors, bool Add>
inline void register_block(LeftTile a, RowTile<const float> b, RowTile<float> c, int depth) {
  Vec sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Add ? load(c.data + r * c.stride + v * Vec::lanes) : zero();
  const float* left = a.data;
  const float* right = b.data;
  for (int step = 0; step < depth; ++step, left += a.step_stride, right += b.stride) {
    Vec lanes[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) lanes[v] = load(right + v * Vec::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec value = broadcast(left[r * a.row_stride]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(value, lanes[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(c.data + r * c.stride + v * Vec::lanes, sum[r][v]);
}

/// The last rows of a column of blocks: fewer than Rows + 1.
template <int Rows, int Vectors, bool Add>
inline void remaining_rows(int rows, LeftTile a, RowTile<const float> b, RowTile<float> c, int depth) {
  if constexpr (Rows > 0) {
    if (rows == Rows) {
      register_block<Rows, Vectors, Add>(a, b, c, depth);
    } else {
      remaining_rows<Rows - 1, Vectors, Add>(rows, a, b, c, depth);
    }
  }
}

/// One column of register blocks, Vectors wide, over all rows.
template <int Rows, int Vectors, bool Add>
inline void block_column(int rows, LeftTile a, RowTile<const float> b, RowTile<float> c, int depth) {
  for (; rows >= Rows; rows -= Rows) {
    register_block<Rows, Vectors, Add>(a, b, c, depth);
    a.data += Rows * a.row_stride;
    c.data += Rows * c.stride;
  }
  remaining_rows<Rows - 1, Vectors, Add>(rows, a, b, c, depth);
}

/// C[rows, columns] (+)= A[rows, depth] · B[depth, columns]; columns is a multiple of Vec::lanes.
template <int Rows, int Vectors, bool Add>
inline void tile_product(int rows, int columns, int depth, LeftTile a, RowTile<const float> b, RowTile<float> c) {
  int column = 0;
  for (; column + Vectors * Vec::lanes <= columns; column += Vectors * Vec::lanes) {
    block_column<Rows, Vectors, Add>(rows, a, {b.data + column, b.stride}, {c.data + column, c.stride}, depth);
  }
  for (; column < columns; column += Vec::lanes) {
    block_column<Rows, 1, Add>(rows, a, {b.data + column, b.stride}, {c.data + column, c.stride}, depth);
  }
}

}  // namespace pacac
