// Which instruction sets this processor runs, the best first: what a program that carries an addon for each asks its plain one
// before it loads another. Names and needs are those of src/targets/cpu/isas.ts.
#pragma once
#include <vector>

#include "runtime/tile_permission.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

#ifndef HWCAP_ASIMD
#define HWCAP_ASIMD (1 << 1)
#endif
#endif

namespace pacac {

inline std::vector<const char*> instruction_sets() {
  std::vector<const char*> sets;
#if defined(__x86_64__)
  // Beside CPUID these ask XGETBV whether the system saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  const bool pairs = avx512 && __builtin_cpu_supports("avx512bf16");
  const bool tiles = pairs && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16");
  if (tiles && allow_tiles()) sets.push_back("amx_bf16");
  if (pairs) sets.push_back("avx512_bf16");
  if (avx512) sets.push_back("avx512");
  if (avx2) sets.push_back("avx2");
#elif defined(__aarch64__) && defined(__linux__)
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0) sets.push_back("neon");
#elif defined(__aarch64__)
  sets.push_back("neon");
#endif
  sets.push_back("plain");
  return sets;
}

}  // namespace pacac
