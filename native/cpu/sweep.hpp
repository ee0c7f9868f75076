// Loops over n elements, a vector at a time, with the ragged end handled once for all kernels.
//
// A body is called as body(offset, lanes), where `lanes` loads and stores either a whole vector or the last
// few elements; it is written once and compiled for both.
#pragma once
#include <cstdint>

#include "cpu/vec.hpp"

namespace pacac {

/// All lanes of a vector.
struct WholeLanes {
  template <class T>
  Vec load(const T* from) const {
    return pacac::load(from);
  }
  template <class T>
  void store(T* to, Vec value) const {
    pacac::store(to, value);
  }
};

/// The first `count` lanes; the others read as 0 and are not written.
struct FirstLanes {
  int count;
  template <class T>
  Vec load(const T* from) const {
    return pacac::load_partial(from, count);
  }
  template <class T>
  void store(T* to, Vec value) const {
    pacac::store_partial(to, value, count);
  }
};

/// Calls body(i, lanes) for i = begin, begin + lanes, … until end.
template <class Body>
inline void sweep(std::int64_t begin, std::int64_t end, Body&& body) {
  std::int64_t i = begin;
  for (; i + Vec::lanes <= end; i += Vec::lanes) body(i, WholeLanes{});
  if (i < end) body(i, FirstLanes{static_cast<int>(end - i)});
}

}  // namespace pacac
