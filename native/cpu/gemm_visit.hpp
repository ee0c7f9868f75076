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

/// `part`'s rows, shared among the threads that compute other columns of the same rows.
template <class T, class A>
Worker::Range visited_share(const Worker& worker, const Part& part, std::int64_t M, std::int64_t N, const A& a) {
  Worker mates{0, 0, nullptr, nullptr, nullptr};
  for (int other = 0; other < worker.threads; other++) {
    const Part theirs = part_of<T>({other, worker.threads, nullptr, nullptr, nullptr}, M, N, a);
    if (theirs.rows.begin != part.rows.begin || theirs.rows.end != part.rows.end) continue;
    if (theirs.columns.begin == theirs.columns.end) continue;
    if (other < worker.thread) mates.thread++;
    mates.threads++;
  }
  const Worker::Range share = mates.share(part.rows.end - part.rows.begin);
  return {part.rows.begin + share.begin, part.rows.begin + share.end};
}

/// This thread's part of C[M,N] = A B; see(m) is called once for each row of A, by some thread.
template <class T, class A, class B, class Store, class Body>
void product_visiting(const Worker& worker, std::int64_t M, std::int64_t N, std::int64_t K, const A& a, const B& b,
                      const Store& store, const Body& see) {
  const Part part = part_of<T>(worker, M, N, a);
  if (part.rows.begin == part.rows.end || part.columns.begin == part.columns.end) return;
  const VisitedRows<A, Body> visited{a, see, visited_share<T>(worker, part, M, N, a)};
  multiply<T>(part.rows, part.columns, K, visited, b, store, worker.scratch);
}

}  // namespace pacac
