// The small matrix product that both attention passes are made of, on float32 tiles in scratch.
//
//   sum[row, lane] += Σ_step A[row, step] · B[step, lane]
//
// Lanes of B are vector lanes; elements of A are broadcast one at a time, so A may lie in any order: rows and steps
// have a stride each, and a transposed A costs nothing. All strides are constants, which leaves one pointer for
// each operand. Sums stay in registers; what begins and what becomes of them is the caller's.
#pragma once
#include <type_traits>

#include "cpu/vec.hpp"

namespace pacac {

/// Rows × Vectors sums, all 0.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void clear(Vec (&sum)[Rows][Vectors]) {
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) sum[r][v] = zero();
}

/// sum[r][v] += Σ_step a[r · RowStep + step · Step] · b[step · BStep + v · lanes …]; per step Vectors loads, Rows
/// broadcasts, Rows · Vectors multiply-adds.
template <int RowStep, int Step, int BStep, int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_add(const float* a, const float* b, int depth, Vec (&sum)[Rows][Vectors]) {
#pragma GCC unroll 4
  for (int step = 0; step < depth; ++step, a += Step, b += BStep) {
    Vec lanes[Vectors];
    for (int v = 0; v < Vectors; ++v) lanes[v] = load(b + v * Vec::lanes);
    for (int r = 0; r < Rows; ++r) {
      const Vec value = broadcast(a[r * RowStep]);
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(value, lanes[v], sum[r][v]);
    }
  }
}

/// body(size, row) where size is a constant `count`, 1 … Rows.
template <int Rows, class Body>
[[gnu::always_inline]] inline void sized_block(int count, int row, Body&& body) {
  if constexpr (Rows > 1) {
    if (count < Rows) return sized_block<Rows - 1>(count, row, body);
  }
  body(std::integral_constant<int, Rows>{}, row);
}

/// Cuts rows [begin, end) into blocks of at most Rows and calls body(size, row) for each, where size is a constant.
/// The last two blocks are of about equal size: few rows have too few sums to hide the latency of an addition.
template <int Rows, class Body>
[[gnu::always_inline]] inline void each_block(int begin, int end, Body&& body) {
  int row = begin;
  for (; end - row == Rows || end - row >= 2 * Rows; row += Rows) body(std::integral_constant<int, Rows>{}, row);
  if (end - row > Rows) {
    const int half = (end - row + 1) / 2;
    sized_block<Rows>(half, row, body);
    row += half;
  }
  if (row < end) sized_block<Rows>(end - row, row, body);
}

}  // namespace pacac
