/**
 * Loads, stores and moves: `ld`, `st`, `ldu`, `mov`, `cvta`, `prefetch`.
 * @module
 */
import type { Access } from "../checker.ts";
import type { Execute } from "../lanes.ts";
import { GLOBAL_WINDOW, LOCAL_WINDOW, type Memory, SHARED_WINDOW } from "../memory.ts";
import type { Site, Width } from "../operands.ts";
import { CLOCKS } from "../specials.ts";
import { bytesOf, type Operand } from "../syntax.ts";
import type { Warp } from "../warp.ts";
import type { Family } from "./decoder.ts";
import { moveParts } from "./parts.ts";
import {
  type Address,
  ADDRESSES,
  addressOf,
  fill,
  genericSpace,
  inWindow,
  memoryOf,
  type Space,
  spaceOf,
} from "./space.ts";

/** Orderings that make a plain access as strong as an atomic one. */
const STRONG = /^(?:volatile|relaxed|acquire|release|mmio)$/;

/**
 * Computes addresses, checks and counts them.
 * @param warp Who
 * @param address The operand
 * @param access What; its space is the operand's unless that is generic
 * @returns The memory, and lanes that may go ahead
 */
export function approach(
  warp: Warp,
  address: Address,
  access: Omit<Access, "space"> & { readonly space: Space },
): { readonly memory: Memory; readonly lanes: number } {
  const { checker } = warp.block;
  fill(warp, address);
  const space = access.space === "generic"
    ? genericSpace(warp, address, access.site)
    : access.space;
  const memory = memoryOf(warp, space);
  if (space === "local") return { memory, lanes: localLanes(warp, access) };
  if (checker === undefined || space === "param") return { memory, lanes: warp.mask };
  const isShared = space === "shared";
  const lanes = isShared ? warp.mask : inWindow(warp, address, access.site);
  const judged: Access = { ...access, space: isShared ? "shared" : "global" };
  const good = checker.check(warp, judged, ADDRESSES, lanes);
  const { site, bytes } = access;
  if (isShared) checker.counters.shared(site, ADDRESSES, good, bytes);
  else if (space === "global") {
    const direction = access.kind === "read" ? "read" : "write";
    checker.counters.global(site, direction, { addresses: ADDRESSES, mask: good, bytes });
  }
  return { memory, lanes: good };
}

/** Local addresses are a thread's own; its part of the warp's memory begins at lane · size. */
function localLanes(
  warp: Warp,
  { site, bytes }: { readonly site: number; readonly bytes: number },
): number {
  const size = warp.block.setting.localBytes;
  let lanes = warp.mask;
  for (let i = 0; i < 32; i++) {
    if ((lanes >>> i & 1) === 0) continue;
    if (ADDRESSES[i] + bytes > size) {
      lanes &= ~(1 << i);
      const address = { space: "local", offset: ADDRESSES[i], bytes } as const;
      const message = "accesses local memory that the thread does not have";
      warp.block.findings.add(warp, { kind: "out-of-bounds", site, lane: i, message, address });
    }
    ADDRESSES[i] += i * size;
  }
  return lanes;
}

/** What is common to loads and stores. */
function accessOf(site: Site, count: number): Omit<Access, "space" | "kind"> & { space: Space } {
  const bytes = bytesOf(site.type) * count;
  const strong = site.instruction.parts.some((part) => STRONG.test(part));
  return { site: site.pc, space: spaceOf(site), bytes, align: bytes, strong };
}

/** Moves one element of each lane; `index` counts elements from the address. */
type Move = (warp: Warp, memory: Memory, lanes: number) => void;

function loadOne(site: Site, operand: Operand, index: number): Move {
  const size = bytesOf(site.type);
  const width = site.widthOf(operand);
  const d = site.targetOf(operand, width);
  const signed = site.type.startsWith("s");
  if (size === 8) {
    if (width !== 64) return site.fail("the destination is too narrow");
    return ({ i32 }, memory, lanes) => {
      for (let i = 0; i < 32; i++) {
        if ((lanes >>> i & 1) === 0) continue;
        const at = (ADDRESSES[i] >>> 2) + 2 * index;
        i32[d + 2 * i] = memory.i32[at];
        i32[d + 2 * i + 1] = memory.i32[at + 1];
      }
    };
  }
  if (size === 4 && width === 32) {
    return ({ i32 }, memory, lanes) => {
      const from = memory.i32;
      for (let i = 0; i < 32; i++) {
        if ((lanes >>> i & 1) !== 0) i32[d + i] = from[(ADDRESSES[i] >>> 2) + index];
      }
    };
  }
  const read = reader(size, signed);
  const keep = operand.kind === "register" && bytesOf(operand.register.type) === 2 ? 0xffff : -1;
  return ({ i32 }, memory, lanes) => {
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      const value = read(memory, ADDRESSES[i] + index * size);
      if (width === 32) i32[d + i] = value & keep;
      else {
        i32[d + 2 * i] = value;
        i32[d + 2 * i + 1] = signed ? value >> 31 : 0;
      }
    }
  };
}

/** Reads a narrow element, extended by its sign. */
function reader(size: number, signed: boolean): (memory: Memory, at: number) => number {
  if (size === 1) return signed ? ({ u8 }, at) => u8[at] << 24 >> 24 : ({ u8 }, at) => u8[at];
  if (size === 4) return ({ i32 }, at) => i32[at >>> 2];
  if (signed) return ({ u16 }, at) => u16[at >>> 1] << 16 >> 16;
  return ({ u16 }, at) => u16[at >>> 1];
}

function ld(site: Site): Execute {
  const items = site.items(0);
  const address = addressOf(site, site.operand(1));
  const access = { ...accessOf(site, items.length), kind: "read" } as const;
  const moves = items.map((item, i) => loadOne(site, item, i));
  const acquires = site.has("acquire");
  return (warp) => {
    const { memory, lanes } = approach(warp, address, access);
    for (let i = 0; i < moves.length; i++) moves[i](warp, memory, lanes);
    if (acquires) warp.block.checker?.books.synchronise(warp.index, ADDRESSES[0]);
  };
}

function storeOne(site: Site, operand: Operand, index: number): Move {
  const size = bytesOf(site.type);
  const isRegister = operand.kind === "register";
  const width: Width = isRegister ? site.widthOf(operand) : size === 8 ? 64 : 32;
  const a = site.sourceOf(operand, width);
  const step = width / 32;
  if (size === 8) {
    if (width !== 64) return site.fail("the source is too narrow");
    return ({ i32 }, memory, lanes) => {
      for (let i = 0; i < 32; i++) {
        if ((lanes >>> i & 1) === 0) continue;
        const at = (ADDRESSES[i] >>> 2) + 2 * index;
        memory.i32[at] = i32[a + 2 * i];
        memory.i32[at + 1] = i32[a + 2 * i + 1];
      }
    };
  }
  return ({ i32 }, memory, lanes) => {
    const { u8, u16, i32: to } = memory;
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      const at = ADDRESSES[i] + index * size;
      const value = i32[a + i * step];
      if (size === 4) to[at >>> 2] = value;
      else if (size === 2) u16[at >>> 1] = value;
      else u8[at] = value;
    }
  };
}

function st(site: Site): Execute {
  const items = site.items(1);
  const address = addressOf(site, site.operand(0));
  const access = { ...accessOf(site, items.length), kind: "write" } as const;
  const moves = items.map((item, i) => storeOne(site, item, i));
  const lost = lostWrites(site, items);
  const releases = site.has("release");
  return (warp) => {
    const { memory, lanes } = approach(warp, address, access);
    for (let i = 0; i < moves.length; i++) moves[i](warp, memory, lanes);
    const { checker } = warp.block;
    if (checker === undefined) return;
    lost(warp, memory, lanes);
    if (releases) {
      checker.books.fence(warp.index);
      checker.books.synchronise(warp.index, ADDRESSES[0]);
    }
  };
}

/** Lanes of one store that write different values to one place: which one stays is undefined. */
function lostWrites(site: Site, items: readonly Operand[]): Move {
  const size = bytesOf(site.type);
  const [item] = items;
  const width: Width = item.kind === "register" ? site.widthOf(item) : size === 8 ? 64 : 32;
  const a = site.sourceOf(item, width);
  const step = width / 32;
  const read = reader(Math.min(size, 4), false);
  const keep = size === 1 ? 0xff : size === 2 ? 0xffff : -1;
  return (warp, memory, lanes) => {
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      if (read(memory, ADDRESSES[i]) === (warp.i32[a + i * step] & keep)) continue;
      const message = "lanes of one store write different values to the same place";
      warp.block.findings.add(warp, { kind: "race", site: site.pc, lane: i, message });
      return;
    }
  };
}

/** Copies rows, two words a lane for 64 bits. */
function copy(d: number, a: number, width: Width): Execute {
  const words = width;
  const shift = width === 64 ? 1 : 0;
  return ({ i32, mask }) => {
    if (mask === -1) { for (let i = 0; i < words; i++) i32[d + i] = i32[a + i]; }
    else {
      for (let i = 0; i < words; i++) {
        if ((mask >>> (i >> shift) & 1) !== 0) i32[d + i] = i32[a + i];
      }
    }
  };
}

function mov(site: Site): Execute {
  const [d, a] = [site.operand(0), site.operand(1)];
  if (site.type === "pred") return movePredicate(site);
  if (d.kind === "vector" || a.kind === "vector") return moveParts(site);
  if (a.kind === "special" && CLOCKS.has(a.name)) return clock(site, a.name);
  const width = site.widthOf(d);
  if (a.kind === "symbol" && site.parameters.has(a.name)) {
    const at = BigInt((site.parameters.get(a.name) ?? 0) + a.offset);
    return copy(site.target(0, width), site.layout.fix(at, width), width);
  }
  return copy(site.target(0, width), site.source(1, width), width);
}

function movePredicate(site: Site): Execute {
  const d = site.predicate(site.operand(0));
  const { index, flip } = site.condition(site.operand(1));
  return ({ p, mask }) => {
    p[d] = p[d] & ~mask | (p[index] ^ flip) & mask;
  };
}

/** Clocks count the block's warp instructions: they grow, and say nothing of time. */
function clock(site: Site, name: string): Execute {
  const width = site.widthOf(site.operand(0));
  const d = site.target(0, width);
  const step = width / 32;
  return ({ i32, block, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      i32[d + i * step] = name === "%clock_hi" ? 0 : block.ticks;
      if (step === 2) i32[d + 2 * i + 1] = 0;
    }
  };
}

/** High words of generic addresses by space. */
const WINDOW: Readonly<Partial<Record<Space, number>>> = {
  global: GLOBAL_WINDOW,
  const: GLOBAL_WINDOW,
  shared: SHARED_WINDOW,
  local: LOCAL_WINDOW,
};

/** `cvta`: offsets of shared and local memory get their window as high word, or lose it. */
function cvta(site: Site): Execute {
  const space = spaceOf(site);
  const window = WINDOW[space] ?? site.fail("this space is not known");
  if (site.type !== "u64") return site.fail("addresses have 64 bits");
  const [d, a] = [site.target(0, 64), site.source(1, 64)];
  if (space === "global" || space === "const") return copy(d, a, 64);
  const high = site.has("to") ? 0 : window;
  return ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      i32[d + 2 * i] = i32[a + 2 * i];
      i32[d + 2 * i + 1] = high;
    }
  };
}

/** `isspacep.SPACE p, a` */
function isspacep(site: Site): Execute {
  const window = WINDOW[spaceOf(site)] ?? site.fail("this space is not known");
  const p = site.predicate(site.operand(0));
  const a = site.source(1, 64);
  return ({ p: predicates, i32, mask }) => {
    let value = 0;
    for (let i = 0; i < 32; i++) if (i32[a + 2 * i + 1] === window) value |= 1 << i;
    predicates[p] = predicates[p] & ~mask | value & mask;
  };
}

const nothing = () => () => {};

/** Loads, stores and moves. Prefetches move nothing that a program can see. */
export const MEMORY: Family = {
  ...{ ld, ldu: ld, st, mov, cvta, isspacep },
  ...{ prefetch: nothing, prefetchu: nothing, discard: nothing, applypriority: nothing },
};
