// Several products of the same A as one (gemm.hpp): C = A [B0 | B1 | …], each B a weight of its own that stays where it is.
//
// A layout says which columns of C belong to which member. Every member is padded to whole units, of which panels, blocks
// and the threads' shares are made; columns beyond a member's own are computed on zeros and stored nowhere.
#pragma once
#include <tuple>
#include <utility>

#include "cpu/gemm.hpp"

namespace pacac {

/// A member of the group, and a column of it.
struct MemberColumn {
  int member;
  std::int64_t column;
};

/// One member behind the other, `outs` columns each.
template <std::int64_t unit, std::int64_t... outs>
struct SideBySide {
  static constexpr std::int64_t kUnit = unit;
  static constexpr std::int64_t kOuts[] = {outs...};
  static constexpr std::int64_t padded(std::int64_t out) { return (out + unit - 1) / unit * unit; }
  static constexpr std::int64_t kColumns = (padded(outs) + ...);
  static constexpr MemberColumn at(std::int64_t n) {
    int member = 0;
    while (n >= padded(kOuts[member])) n -= padded(kOuts[member++]);
    return {member, n};
  }
};

/// Two members by turns, `panel` columns of the one, then the same of the other: what is made of both finds both in cache.
template <std::int64_t panel, std::int64_t out>
struct ByTurns {
  static constexpr std::int64_t kUnit = 2 * panel;
  static constexpr std::int64_t kOuts[] = {out, out};
  static constexpr std::int64_t kColumns = (out + panel - 1) / panel * 2 * panel;
  static constexpr MemberColumn at(std::int64_t n) { return {static_cast<int>(n / panel % 2), n / (2 * panel) * panel}; }
};

/// Calls body(member) of the i-th of a tuple.
template <class... Members, class Body>
inline void with_member(const std::tuple<Members...>& members, int i, Body&& body) {
  [&]<std::size_t... at>(std::index_sequence<at...>) {
    (void)((i == static_cast<int>(at) && (body(std::get<at>(members)), true)) || ...);
  }(std::index_sequence_for<Members...>{});
}

/// [B0 | B1 | …] as one B.
template <class Layout, class... Weights>
struct GroupedColumns {
  std::tuple<Weights...> members;
  template <int NV>
  void pack(float* panel, std::int64_t k, std::int64_t deep, std::int64_t n, std::int64_t wide) const {
    const auto [member, column] = Layout::at(n);
    const std::int64_t left = Layout::kOuts[member] - column, own = left < 0 ? 0 : smaller(left, wide);
    with_member(members, member, [&](const auto& weight) { weight.template pack<NV>(panel, k, deep, column, own); });
  }
  /// Asks for part of what pack() will read.
  template <int NV>
  void fetch(std::int64_t k, std::int64_t deep, std::int64_t n, Share share) const {
    if (n >= Layout::kColumns) return;
    const auto [member, column] = Layout::at(n);
    with_member(members, member, [&, column = column](const auto& weight) { weight.template fetch<NV>(k, deep, column, share); });
  }
};
template <class Layout, class... Weights>
GroupedColumns<Layout, Weights...> grouped(const Weights&... weights) {
  return {{weights...}};
}

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
template <class T>
Worker::Range visited_share(const Worker& worker, const Part& part, std::int64_t M, std::int64_t N, std::int64_t unit) {
  Worker mates{0, 0, nullptr, nullptr, nullptr};
  for (int other = 0; other < worker.threads; other++) {
    const Part theirs = part_of<T>({other, worker.threads, nullptr, nullptr, nullptr}, M, N, unit);
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
                      const Store& store, std::int64_t unit, const Body& see) {
  const Part part = part_of<T>(worker, M, N, unit);
  if (part.rows.begin == part.rows.end || part.columns.begin == part.columns.end) return;
  const VisitedRows<A, Body> visited{a, see, visited_share<T>(worker, part, M, N, unit)};
  multiply<T>(part.rows, part.columns, K, visited, b, store, worker.scratch);
}

}  // namespace pacac
