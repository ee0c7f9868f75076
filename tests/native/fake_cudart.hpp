// The part of CUDA's runtime that the engine uses, without a device: for tests of the engine's own logic.
//
// Device memory is the host's. Work is queued on its stream and done only when somebody waits, one stream as far ahead of the
// others as events allow: an order that is not forced by an event shows as a wrong result. Every call is written down, and one
// of them can be made to fail. What is not freed in the end is counted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fake {

struct Settings {
  int devices = 1;
  int capability = 80;
  std::size_t free_bytes = std::size_t{1} << 30;
  bool copies_first = false;  ///< which stream runs ahead: the one made first, or the last
  int fail_at = 0;            ///< the n-th call fails, from 1; 0: none
};

extern Settings settings;
/// Names of the calls so far.
extern std::vector<std::string> calls;
/// Allocations, streams, events and graphs that are still there.
extern int alive;
/// Where the failing call was, or "".
extern std::string failed;

/// What a launch of `function` does; `pointers` arguments are addresses, `part` whether an int follows.
void define(void (*function)(), int pointers, bool part, std::function<void(std::vector<void*>, int)> body);

}  // namespace fake
