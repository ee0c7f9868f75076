/**
 * Instructions in which lanes of a warp see each other: `shfl`, `vote`, `match`, `redux`, `activemask`.
 * @module
 */
import type { Execute } from "../lanes.ts";
import type { Site } from "../operands.ts";
import type { Operand } from "../syntax.ts";
import type { Warp } from "../warp.ts";
import { countBits } from "./integer32.ts";
import type { Family } from "./decoder.ts";

/** Lane that a lane reads from, and whether that lane is in range; then its own value stands. */
type Source = (
  lane: number,
  b: number,
  bounds: { readonly least: number; readonly most: number },
) => {
  readonly from: number;
  readonly inRange: boolean;
};

/** c has the segment's mask in bits 8 to 12 and the clamp in bits 0 to 4. */
const SHUFFLES: Readonly<Record<string, Source>> = {
  up: (lane, b, { most }) => ({ from: lane - b, inRange: lane - b >= most }),
  down: (lane, b, { most }) => ({ from: lane + b, inRange: lane + b <= most }),
  bfly: (lane, b, { most }) => ({ from: lane ^ b, inRange: (lane ^ b) <= most }),
  idx: (_lane, b, { least, most }) => {
    const from = least | b;
    return { from, inRange: from <= most };
  },
};

/** `shfl.sync.MODE.b32 d[|p], a, b, c, mask` */
function shfl(site: Site): Execute {
  const mode = Object.keys(SHUFFLES).find((word) => site.has(word)) ?? site.fail("no mode");
  const target = site.operand(0);
  const d = site.targetOf(target.kind === "pair" ? target.first : target, 32);
  const p = target.kind === "pair" ? site.predicate(target.second) : undefined;
  const [a, b, c] = [site.source(1), site.source(2), site.source(3)];
  const member = site.source(4);
  const source = SHUFFLES[mode];
  const old = new Int32Array(32);
  return (warp) => {
    const { i32, mask } = warp;
    for (let i = 0; i < 32; i++) old[i] = i32[a + i];
    let reached = 0;
    for (let lane = 0; lane < 32; lane++) {
      if ((mask >>> lane & 1) === 0) continue;
      const control = i32[c + lane];
      const segment = control >>> 8 & 31;
      const clamp = control & 31;
      const least = lane & segment;
      const shift = mode === "idx" ? i32[b + lane] & 31 & ~segment : i32[b + lane] & 31;
      const { from, inRange } = source(lane, shift, { least, most: least | clamp & ~segment });
      if (inRange) reached |= 1 << lane;
      const read = inRange ? from : lane;
      // What a lane that takes no part would give is undefined.
      if ((mask & i32[member + lane]) >>> read & 1) i32[d + lane] = old[read];
      else absent(warp, { site: site.pc, lane, read });
    }
    if (p !== undefined) warp.p[p] = warp.p[p] & ~mask | reached & mask;
  };
}

function absent(
  warp: Warp,
  { site, lane, read }: { readonly site: number; readonly lane: number; readonly read: number },
): void {
  const message = `reads lane ${read}, which takes no part`;
  warp.block.findings.add(warp, { kind: "divergent", site, lane, message });
}

/** The mask of a predicate operand. */
function holds(site: Site, operand: Operand): (warp: Warp) => number {
  const { index, flip } = site.condition(operand);
  return ({ p }) => p[index] ^ flip;
}

/** Lanes of the warp that a mask operand names; the first lane's word stands for all. */
function members(site: Site, index: number): (warp: Warp) => number {
  const row = site.source(index);
  return ({ i32, mask }) => i32[row + (31 - Math.clz32(mask & -mask))];
}

/** `vote.sync.{all,any,uni}.pred p, [!]q, mask` and `vote.sync.ballot.b32 d, [!]q, mask` */
function vote(site: Site): Execute {
  const condition = holds(site, site.operand(1));
  const among = members(site, 2);
  if (site.has("ballot")) {
    const d = site.target(0);
    return (warp) => {
      const value = condition(warp) & among(warp) & warp.mask;
      for (let i = 0; i < 32; i++) if ((warp.mask >>> i & 1) !== 0) warp.i32[d + i] = value;
    };
  }
  const p = site.predicate(site.operand(0));
  const [isAll, isAny] = [site.has("all"), site.has("any")];
  if (!isAll && !isAny && !site.has("uni")) return site.fail("this vote is not known");
  return (warp) => {
    const { mask } = warp;
    const voters = among(warp) & mask;
    const yes = condition(warp) & voters;
    const value = isAll ? yes === voters : isAny ? yes !== 0 : yes === 0 || yes === voters;
    warp.p[p] = warp.p[p] & ~mask | (value ? mask : 0);
  };
}

/** `match.{any,all}.sync.b32 d[|p], a, mask` */
function match(site: Site): Execute {
  if (site.type !== "b32") return site.fail("this width is not known");
  const target = site.operand(0);
  const d = site.targetOf(target.kind === "pair" ? target.first : target, 32);
  const p = target.kind === "pair" ? site.predicate(target.second) : undefined;
  const a = site.source(1);
  const among = members(site, 2);
  const all = site.has("all");
  return (warp) => {
    const { i32, mask } = warp;
    const lanes = among(warp) & mask;
    const found = new Int32Array(32);
    for (let i = 0; i < 32; i++) {
      for (let k = 0; k < 32; k++) {
        if ((lanes >>> k & 1) !== 0 && i32[a + k] === i32[a + i]) found[i] |= 1 << k;
      }
    }
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) !== 0) i32[d + i] = all && found[i] !== lanes ? 0 : found[i];
    }
    const same = found[31 - Math.clz32(lanes & -lanes)] === lanes;
    if (p !== undefined) warp.p[p] = warp.p[p] & ~mask | (same ? mask : 0);
  };
}

const REDUCTIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  "add.u32": (a, b) => a + b | 0,
  "add.s32": (a, b) => a + b | 0,
  "min.s32": Math.min,
  "max.s32": Math.max,
  "min.u32": (a, b) => a >>> 0 < b >>> 0 ? a : b,
  "max.u32": (a, b) => a >>> 0 > b >>> 0 ? a : b,
  "and.b32": (a, b) => a & b,
  "or.b32": (a, b) => a | b,
  "xor.b32": (a, b) => a ^ b,
};

/** `redux.sync.OP.type d, a, mask` */
function redux(site: Site): Execute {
  const key = `${site.instruction.parts[1]}.${site.type}`;
  const op = REDUCTIONS[key] ?? site.fail("this reduction is not known");
  const [d, a] = [site.target(0), site.source(1)];
  const among = members(site, 2);
  return (warp) => {
    const { i32, mask } = warp;
    const lanes = among(warp) & mask;
    let total: number | undefined;
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      total = total === undefined ? i32[a + i] : op(total, i32[a + i]);
    }
    for (let i = 0; i < 32; i++) if ((mask >>> i & 1) !== 0) i32[d + i] = total ?? 0;
  };
}

function activemask(site: Site): Execute {
  const d = site.target(0);
  return ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) if ((mask >>> i & 1) !== 0) i32[d + i] = mask;
  };
}

/** A leader: the lowest lane of the mask. `elect.sync d|p, mask` */
function elect(site: Site): Execute {
  const target = site.operand(0);
  if (target.kind !== "pair") return site.fail("a pair is wanted");
  const d = site.targetOf(target.first, 32);
  const p = site.predicate(target.second);
  const among = members(site, 1);
  return (warp) => {
    const { mask, i32 } = warp;
    const lanes = among(warp) & mask;
    const leader = countBits((lanes & -lanes) - 1);
    for (let i = 0; i < 32; i++) if ((mask >>> i & 1) !== 0) i32[d + i] = leader;
    warp.p[p] = warp.p[p] & ~mask | 1 << leader & mask;
  };
}

/** Exchange between lanes. */
export const WARP: Family = { shfl, vote, match, redux, activemask, elect };
