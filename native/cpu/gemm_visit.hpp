// A product (gemm.hpp) that sees each row of A once while it is in cache: where PaCA's columns of x are gathered.
#pragma once
#include "cpu/gemm.hpp"

namespace pacac {

/// A as it is, and a body that sees each of this thread's rows once, when they come by for the first time.
template <class Rows, class Body>
struct VisitedRows : Rows {
  const Body& body;
  std::int64_t end;
  mutable std::int64_t next;
  VisitedRows(const Rows& rows, const Body& see, Worker::Range share)
      : Rows(rows), body(see), end(share.end), next(share.begin) {}
  const float* block(float* to, std::int64_t m, std::int64_t high, std::int64_t k, std::int64_t deep) const {
    for (const std::int64_t stop = smaller(m + high, end); m <= next && next < stop; next++) body(next);
    return Rows::block(to, m, high, k, deep);
  }
};

/// This thread's part of C[M,N] = A B; see(m) is called once for each row of A, by some thread.
template <class T, class A, class B, class Store, class Body>
void product_visiting(const Worker& worker, std::int64_t M, std::int64_t N, std::int64_t K, const A& a, const B& b,
                      const Store& store, const Body& see) {
  const Part part = part_of<T>(worker, M, N, a);
  // Threads that compute other columns of the same rows see a share of them each.
  const auto [begin, end] = part.mates.share(part.rows.end - part.rows.begin);
  if (part.columns.begin == part.columns.end) {
    for (std::int64_t m = part.rows.begin + begin; m < part.rows.begin + end; m++) see(m);
    return;
  }
  const VisitedRows<A, Body> visited{a, see, {part.rows.begin + begin, part.rows.begin + end}};
  multiply<T>(part.rows, part.columns, K, visited, b, store, worker.scratch);
}

}  // namespace pacac
