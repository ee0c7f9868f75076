// The walk of attention backward: which thread does which tiles of queries, and how its sums of dK and dV become rows.
//
// A thread's tiles are neighbours in rows, each with one key and value head; it sums dK and dV of a row, from the last tile to the first.
// A row that several threads share is added up at the end, in the order of the threads. What becomes of a tile is the work's.
#pragma once
#include "cpu/attention.hpp"

namespace pacac::attention {

/// A tile of queries of one key and value head, and where its sums go.
struct Unit {
  QueryTile tile;
  std::int64_t row;
  int kv_head, slot;
  bool first;  ///< whether dK and dV begin with it
};

/// Of rows of one head: lse to base 2, and delta = Σ_d dy y. All three begin with the first row's.
template <class S, class Y, class DY, class L>
void row_statistics(const Y* y, const DY* dy, const L* lse, int rows, float* lse_to, float* delta_to) {
  std::fill_n(lse_to, S::panel, kMasked);  // lanes of no query: P = 0
  std::fill_n(delta_to, S::panel, 0.0f);
  for (std::int64_t i = 0; i < rows; ++i) {
    Vec dot = zero();
    sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) {
      dot = fma(lanes.load(y + i * S::query_width + d), lanes.load(dy + i * S::query_width + d), dot);
    });
    delta_to[i] = pacac::sum(dot);
    lse_to[i] = to_float(lse[i * S::heads]) * kLog2E;
  }
}

/// `work` has start, dk and dv; Tiles with dk[2] and dv[2], [seq_len, padded_dim]: sums of a row that the thread enters midway, and of
/// others; attend(tiles, unit); and key_factor(), by which sums of dK are multiplied at last.
template <class S, class Work>
class BackwardWalk {
 public:
  explicit BackwardWalk(const Work& work) : work_(work) {}

  /// This thread's tiles of `tokens` tokens, and its part of the rows that threads share.
  void run(std::int64_t tokens, const Worker& worker) const {
    const typename Work::Tiles tiles(worker.scratch);
    std::byte** const scratch_of = reinterpret_cast<std::byte**>(worker.shared);
    if (worker.thread < Partition<S>::kMaxThreads) scratch_of[worker.thread] = worker.scratch;
    bool shared = false;
    each_segment(tokens, worker, [&](const Segment& segment) {
      shared = shared || segment.first != segment.last;
      if (worker.thread < segment.first || worker.thread > segment.last) return;
      sum(tiles, segment, worker.thread);
      if (segment.first != segment.last) return;
      const Piece whole = piece_of(tiles, segment, worker.thread);
      write(segment, &whole, 1, {0, S::seq_len});
    });
    if (!shared) return;
    worker.barrier->wait();
    each_segment(tokens, worker, [&](const Segment& segment) {
      if (segment.first == segment.last) return;
      Piece pieces[Partition<S>::kMaxThreads];
      int count = 0;
      for (int thread = segment.first; thread <= segment.last; ++thread) {
        const Piece piece = piece_of(typename Work::Tiles(scratch_of[thread]), segment, thread);
        if (piece.from < piece.to) pieces[count++] = piece;
      }
      write(segment, pieces, count, worker.share(S::seq_len));
    });
  }

 private:
  /// A row of the batch with one key and value head, and the threads that have tiles of it.
  struct Segment {
    std::int64_t row;
    int kv_head, first, last;
    Partition<S> tiles;  ///< standing before the segment
  };

  /// Rows and heads a thread, from which on each is one thread's: the threads' work then differs by little.
  static constexpr int kManyRows = 6;

  /// A thread's sums of dK and dV over its tiles of a segment: tokens [from, to) of the row.
  struct Piece {
    const float *dk, *dv;
    std::int64_t from, to;
  };

  template <class Visit>
  void each_segment(std::int64_t tokens, const Worker& worker, const Visit& visit) const {
    // Sums of a row that several threads share depend on where it is cut: then all shares are equal.
    const bool whole = tokens / S::seq_len * S::kv_heads >= kManyRows * worker.threads;
    Partition<S> partition(work_.start, tokens, worker, whole ? worker.bounds : nullptr, whole);
    for (std::int64_t row = 0; row < tokens; row += S::seq_len) {
      for (int kv_head = 0; kv_head < S::kv_heads; ++kv_head) {
        Segment segment{row, kv_head, worker.threads, 0, partition};
        partition.next(row, [&](const QueryTile&, int owner) {
          segment.first = std::min(segment.first, owner);
          segment.last = std::max(segment.last, owner);
        });
        visit(segment);
      }
    }
  }

  static int slot_of(const Segment& segment, int thread) { return thread > segment.first ? 0 : 1; }

  static Piece piece_of(const typename Work::Tiles& tiles, const Segment& segment, int thread) {
    const int slot = slot_of(segment, thread);
    Piece piece{tiles.dk[slot], tiles.dv[slot], S::seq_len, 0};
    Partition<S>(segment.tiles).next(segment.row, [&](const QueryTile& tile, int owner) {
      if (owner != thread) return;
      piece.from = std::min(piece.from, tile.start - segment.row);
      piece.to = std::max(piece.to, tile.end() - segment.row);
    });
    return piece;
  }

  /// dq of the thread's tiles of a segment; their dK and dV go to its sums.
  void sum(const typename Work::Tiles& tiles, const Segment& segment, int thread) const {
    const int slot = slot_of(segment, thread);
    std::int64_t document = -1;
    Partition<S>(segment.tiles).next(segment.row, [&](const QueryTile& tile, int owner) {
      if (owner != thread) return;
      // The first tile of a document is the last in the row: it sees every key that the others see.
      const Unit unit{tile, segment.row, segment.kv_head, slot, tile.start != document};
      document = tile.start;
      work_.attend(tiles, unit);
    });
  }

  /// dk and dv of tokens `range` of a row.
  void write(const Segment& segment, const Piece* pieces, int count, Worker::Range range) const {
    for (std::int64_t token = range.begin; token < range.end; ++token) {
      const std::int64_t to = (segment.row + token) * S::kv_width + segment.kv_head * S::head_dim;
      const std::int64_t from = token * S::padded_dim;
      sweep(0, S::head_dim, [&](std::int64_t d, auto lanes) {
        Vec keys = zero(), values = zero();
        for (int i = 0; i < count; ++i) {
          if (token < pieces[i].from || token >= pieces[i].to) continue;
          keys = keys + load(pieces[i].dk + from + d);
          values = values + load(pieces[i].dv + from + d);
        }
        lanes.store(work_.dk + to + d, keys * broadcast(work_.key_factor()));
        lanes.store(work_.dv + to + d, values);
      });
    }
  }

  const Work& work_;
};

}  // namespace pacac::attention
