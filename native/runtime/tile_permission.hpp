// Tile registers are large: the system saves them only for a process that asked for them (Linux, arch_prctl(2), since 5.16).
#pragma once
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pacac {

/// Asks for the tile registers on behalf of all threads of this process. Returns whether they may use them.
inline bool allow_tiles() {
#if defined(__x86_64__) && defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace pacac
