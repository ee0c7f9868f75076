// A product (gemm.hpp) that sees each row of A once while it is in cache: where PaCA's columns of x are gathered.
#pragma once
#include "cpu/gemm.hpp"

namespace pacac {

/// A as it is, and a body that sees the rows of a unit when they come by for the first time.
template <class Rows, class Body>
struct VisitedRows : Rows {
  const Body& body;
  mutable std::int64_t next = 0, end = 0;
  VisitedRows(const Rows& rows, const Body& see) : Rows(rows), body(see) {}
  void see(Worker::Range rows) const {
    next = rows.begin;
    end = rows.end;
  }
  const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    for (const std::int64_t stop = smaller(m + high, end); next < stop; next++) body(next);
    return Rows::block(to, m, high, k, deep);
  }
};

/// This thread's part of C[M,N] = A B; see(m) is called once for each row of A, by whoever computes its first columns.
template <class T, class A, class B, class Store, class Body>
void product_visiting(const Worker& worker, std::int64_t M, std::int64_t N, std::int64_t K, const A& a, const B& b,
                      const Store& store, const Body& see) {
  const VisitedRows<A, Body> visited{a, see};
  Packed packed;
  each_part<T>(worker, M, N, K <= T::KC, [&](const Part& part) {
    if (part.columns.begin == 0) visited.see(part.rows);
    multiply<T>(part.rows, part.columns, K, visited, b, store, worker.scratch, &packed);
  });
}

}  // namespace pacac
