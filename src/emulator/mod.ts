/**
 * The emulator: runs PTX that nvcc wrote on the processor, a warp at a time, with checks and counters.
 *
 *     const module = parse(ptx);
 *     const device = new Device();
 *     const x = device.alloc("x", Float32Array.of(1, 2, 3, 4));
 *     const y = device.alloc("y", 16);
 *     const { findings, counters } = module.launch("scale", { device, grid: 1, block: 32, args: [x, y, 4, 2.5] });
 *     device.readFloat32(y);
 *
 * It proves indexing, layouts, barriers, waits, bounds and initialisation for the inputs that it ran, and counts bank
 * conflicts and sectors. It proves nothing about time, about what ptxas makes of the PTX, or about the rounding inside tensor
 * cores. It knows nothing of the rest of pacac.
 * @module
 */
export {
  type Argument,
  type LaunchOptions,
  type LaunchReport,
  parse,
  PtxModule,
} from "./module.ts";
export { type AllocOptions, Device, type DeviceBuffer, type DevicePointer } from "./device.ts";
export {
  type AddressPlace,
  type Finding,
  type FindingKind,
  findingText,
  type OtherAccess,
} from "./findings.ts";
export type {
  CounterReport,
  GlobalTraffic,
  LineCount,
  PlaceCount,
  SharedTraffic,
} from "./counters.ts";
export { type KernelResources, parsePtxas, type PtxCounts } from "./ptxas.ts";
export type { Parameter } from "./syntax.ts";
export { toBf16 } from "./rounding.ts";
