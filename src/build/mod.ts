/**
 * From generated C++ to an addon that is known to load; what this machine can do.
 * @module
 */
export { Cache, keyOf } from "./cache.ts";
export {
  buildAddon,
  type BuildOptions,
  type BuildProgress,
  type BuiltAddon,
  compileAll,
  type Source,
} from "./compile.ts";
export { loadAddon } from "./load.ts";
export { machineOf, type MachineOptions } from "./machine.ts";

export { probeAddon } from "./probe.ts";
export { standaloneFiles } from "./standalone.ts";
export { findNvcc, findToolchain, type Toolchain } from "./toolchain.ts";
