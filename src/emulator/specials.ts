/**
 * Special registers: what `%tid.x` and its like are in a lane.
 * @module
 */
import type { Block } from "./block.ts";
import type { Warp } from "./warp.ts";

/** Value of a special register in a lane. */
type Special = (block: Block, warp: Warp, lane: number) => number;

const AXES = ["x", "y", "z"] as const;

/** Coordinate along an axis of a linear index. */
function along(index: number, [x, y]: readonly number[], axis: number): number {
  return axis === 0
    ? index % x
    : axis === 1
    ? Math.floor(index / x) % y
    : Math.floor(index / (x * y));
}

const byAxis = (name: string, of: (axis: number) => Special) =>
  Object.fromEntries(AXES.map((letter, axis) => [`${name}.${letter}`, of(axis)]));

const SPECIALS: Readonly<Record<string, Special>> = {
  ...byAxis(
    "%tid",
    (axis) => ({ setting }, { index }, lane) => along(index * 32 + lane, setting.size, axis),
  ),
  ...byAxis("%ntid", (axis) => ({ setting }) => setting.size[axis]),
  ...byAxis("%ctaid", (axis) => ({ setting, linear }) => along(linear, setting.grid, axis)),
  ...byAxis("%nctaid", (axis) => ({ setting }) => setting.grid[axis]),
  "%laneid": (_block, _warp, lane) => lane,
  "%warpid": (_block, { index }) => index,
  "%nwarpid": ({ warps }) => warps.length,
  "%smid": () => 0,
  "%nsmid": () => 1,
  "%gridid": () => 0,
  "%lanemask_eq": (_block, _warp, lane) => 1 << lane,
  "%lanemask_lt": (_block, _warp, lane) => (1 << lane) - 1,
  "%lanemask_le": (_block, _warp, lane) => lane === 31 ? -1 : (2 << lane) - 1,
  "%lanemask_gt": (_block, _warp, lane) => lane === 31 ? 0 : -1 << lane + 1,
  "%lanemask_ge": (_block, _warp, lane) => -1 << lane,
  "%dynamic_smem_size": ({ setting }) => setting.sharedBytes,
  "%total_smem_size": ({ setting }) => setting.sharedBytes,
};

/** Registers that change while a block runs. */
export const CLOCKS: ReadonlySet<string> = new Set([
  "%clock",
  "%clock_hi",
  "%clock64",
  "%globaltimer",
  "%globaltimer_lo",
]);

/** Whether a special register is known and stays as it is. @param name With its % */
export function isSpecial(name: string): boolean {
  return name in SPECIALS;
}

/** Value of a special register. @param name One that isSpecial knows */
export function specialValue(name: string, warp: Warp, lane: number): number {
  return SPECIALS[name](warp.block, warp, lane);
}
