/**
 * `cp.async`: copies from device to shared memory that a thread waits for later.
 *
 * At its start the destination becomes NaN and uninitialised: what reads too early is found. At the wait the bytes arrive
 * and count as written at that moment: a barrier that is missing after the wait is found.
 * @module
 */
import type { Access } from "../checker.ts";
import type { Execute } from "../lanes.ts";
import type { Memory } from "../memory.ts";
import type { Site } from "../operands.ts";
import type { AsyncCopy, Warp } from "../warp.ts";
import type { Family } from "./decoder.ts";
import { approach } from "./memory.ts";
import { type Address, ADDRESSES, addressOf } from "./space.ts";

function cp(site: Site): Execute {
  const { parts } = site.instruction;
  if (parts[0] !== "async") return site.fail("only cp.async is known");
  if (parts[1] === "commit_group") return commit;
  if (parts[1] === "wait_group") return waitGroup(site.constant(0), site.pc);
  if (parts[1] === "wait_all") return waitAll(site.pc);
  if (parts[1] !== "ca" && parts[1] !== "cg") return site.fail("this form is not known");
  return start(site);
}

function start(site: Site): Execute {
  const to = addressOf(site, site.operand(0));
  const from = addressOf(site, site.operand(1));
  const bytes = site.constant(2);
  if (![4, 8, 16].includes(bytes)) return site.fail("copies have 4, 8 or 16 bytes");
  const ignores = site.arity > 3 && site.operand(3).kind === "register" &&
    site.types.length === 0 && isPredicate(site);
  const given = site.arity > 3 && !ignores ? site.source(3) : undefined;
  const skip = ignores ? site.condition(site.operand(3)) : undefined;
  const write = { site: site.pc, bytes, align: bytes, kind: "write", pending: true } as const;
  return (warp) => {
    const whole = warp.mask;
    const copy = warp.spare.pop() ?? newCopy();
    takeSizes(warp, { bytes, given, skip });
    fetch(warp, { from, bytes, data: copy.data, site: site.pc });
    warp.mask = whole;
    const { memory, lanes } = approach(warp, to, { ...write, space: "shared" });
    poison(memory.i32, lanes, bytes);
    copy.group = warp.committed;
    copy.site = site.pc;
    copy.mask = lanes;
    copy.bytes = bytes;
    copy.to.set(ADDRESSES);
    warp.copies.push(copy);
  };
}

const WORDS = 4;

function newCopy(): AsyncCopy {
  const data = new Int32Array(32 * WORDS);
  return { group: 0, site: 0, mask: 0, bytes: 0, to: new Uint32Array(32), data };
}

/** The destination is NaN until the copy arrives. */
function poison(shared: Int32Array, lanes: number, bytes: number): void {
  for (let i = 0; i < 32; i++) {
    if ((lanes >>> i & 1) === 0) continue;
    const at = ADDRESSES[i] >>> 2;
    for (let k = 0; k < bytes / 4; k++) shared[at + k] = -1;
  }
}

function isPredicate(site: Site): boolean {
  const operand = site.operand(3);
  return operand.kind === "register" && operand.register.type === "pred";
}

/** Bytes that each lane of the copy that starts reads: the rest of its destination becomes 0. */
const SIZES = new Uint8Array(32);

function takeSizes(
  warp: Warp,
  { bytes, given, skip }: {
    readonly bytes: number;
    readonly given: number | undefined;
    readonly skip: { readonly index: number; readonly flip: number } | undefined;
  },
): void {
  SIZES.fill(bytes);
  for (let i = 0; i < 32; i++) {
    if (given !== undefined) SIZES[i] = Math.min(bytes, warp.u32[given + i]);
    if (skip !== undefined && ((warp.p[skip.index] ^ skip.flip) >>> i & 1) !== 0) SIZES[i] = 0;
  }
}

/** Reads the source; lanes of the same size go together, which is one go but at ragged edges. */
function fetch(
  warp: Warp,
  { from, bytes, data, site }: {
    readonly from: Address;
    readonly bytes: number;
    readonly data: Int32Array;
    readonly site: number;
  },
): void {
  data.fill(0);
  let left = warp.mask;
  while (left !== 0) {
    const size = SIZES[31 - Math.clz32(left & -left)];
    let same = 0;
    for (let i = 0; i < 32; i++) if ((left >>> i & 1) !== 0 && SIZES[i] === size) same |= 1 << i;
    left &= ~same;
    if (size === 0) continue;
    warp.mask = same;
    // The address must be aligned to the copy, whatever is read of it.
    const access = { site, space: "global", bytes: size, align: bytes, kind: "read" } as const;
    const { memory, lanes } = approach(warp, from, access);
    read(memory, lanes, { size, data });
  }
}

function read(
  memory: Memory,
  lanes: number,
  { size, data }: { readonly size: number; readonly data: Int32Array },
): void {
  const { i32, u8 } = memory;
  const words = size >> 2;
  for (let i = 0; i < 32; i++) {
    if ((lanes >>> i & 1) === 0) continue;
    const at = ADDRESSES[i];
    for (let k = 0; k < words; k++) data[i * WORDS + k] = i32[(at >>> 2) + k];
    for (let k = words * 4; k < size; k++) data[i * WORDS + (k >> 2)] |= u8[at + k] << 8 * (k & 3);
  }
}

function commit(warp: Warp): void {
  whole(warp, warp.pc);
  warp.committed++;
}

/** Groups are kept by warp: all lanes must commit and wait together. */
function whole(warp: Warp, site: number): void {
  if (warp.mask === warp.live) return;
  const message = "lanes of the warp are missing: groups of copies are followed by warp";
  warp.block.findings.add(warp, { kind: "divergent", site, lane: 0, message });
}

function waitGroup(pending: number, site: number): Execute {
  return (warp) => {
    whole(warp, site);
    deliver(warp, warp.committed - pending);
  };
}

function waitAll(site: number): Execute {
  return (warp) => {
    whole(warp, site);
    deliver(warp, Infinity);
  };
}

/** Delivers the copies of groups below a number; groups arrive in the order in which they were started. */
function deliver(warp: Warp, below: number): void {
  const { copies, block, spare } = warp;
  let arrived = 0;
  while (arrived < copies.length && copies[arrived].group < below) {
    const copy = copies[arrived++];
    if (block.checker !== undefined) {
      const { site, bytes } = copy;
      const access: Access = { site, space: "shared", bytes, align: bytes, kind: "write" };
      block.checker.check(warp, access, copy.to, copy.mask);
    }
    land(copy, block.shared.i32);
    spare.push(copy);
  }
  copies.splice(0, arrived);
}

function land({ mask, to, bytes, data }: AsyncCopy, shared: Int32Array): void {
  for (let i = 0; i < 32; i++) {
    if ((mask >>> i & 1) === 0) continue;
    const at = to[i] >>> 2;
    for (let k = 0; k < bytes / 4; k++) shared[at + k] = data[i * WORDS + k];
  }
}

/** Asynchronous copies. */
export const ASYNC_COPIES: Family = { cp };
