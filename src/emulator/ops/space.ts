/**
 * Addresses of memory instructions: which memory they mean, and where in it, by lane.
 * @module
 */
import { Halt } from "../findings.ts";
import { GLOBAL_WINDOW, LOCAL_WINDOW, type Memory, SHARED_WINDOW } from "../memory.ts";
import type { Site } from "../operands.ts";
import type { Operand } from "../syntax.ts";
import type { Warp } from "../warp.ts";

/** State spaces. */
export type Space = "global" | "const" | "shared" | "local" | "param" | "generic";

const SPACES: ReadonlySet<string> = new Set(["global", "const", "shared", "local", "param"]);

/** The space that an opcode names. @param site The instruction */
export function spaceOf(site: Site): Space {
  // `.shared::cta` is the block's own shared memory.
  const part = site.instruction.parts.map((one) => one === "shared::cta" ? "shared" : one)
    .find((one) => SPACES.has(one));
  return (part ?? "generic") as Space;
}

/** Offsets by lane of the access that runs. One at a time runs, so one array serves all. */
export const ADDRESSES = new Uint32Array(32);

/** An address operand, decoded. */
export interface Address {
  /** Row with the address. */
  readonly row: number;
  /** Words from lane to lane: 2 where addresses have 64 bits. */
  readonly step: 1 | 2;
  readonly offset: number;
}

/** Decodes an address. @param site The instruction @param operand The operand in brackets */
export function addressOf(site: Site, operand: Operand): Address {
  if (operand.kind !== "address") return site.fail("an address is wanted");
  const { base, offset } = operand;
  if (base === undefined) return { row: site.layout.fix(BigInt(offset), 32), step: 1, offset: 0 };
  if (base.kind === "symbol") {
    const parameter = site.parameters.get(base.name);
    const at = parameter === undefined ? site.address(base) : BigInt(parameter + base.offset);
    return { row: site.layout.fix(at, 64), step: 2, offset };
  }
  const width = site.widthOf(base);
  return { row: site.sourceOf(base, width), step: width === 64 ? 2 : 1, offset };
}

/** Puts the low words of the addresses into ADDRESSES. */
export function fill({ i32 }: Warp, { row, step, offset }: Address): void {
  for (let i = 0; i < 32; i++) ADDRESSES[i] = i32[row + i * step] + offset;
}

const WINDOWS: Readonly<Record<number, Space>> = {
  [GLOBAL_WINDOW]: "global",
  [SHARED_WINDOW]: "shared",
  [LOCAL_WINDOW]: "local",
};

/**
 * The space of generic addresses: all lanes must mean the same.
 * @param warp Who
 * @param address The operand
 * @param site Index of the instruction
 */
export function genericSpace(warp: Warp, address: Address, site: number): Space {
  let found: Space | undefined;
  for (let i = 0; i < 32; i++) {
    if ((warp.mask >>> i & 1) === 0) continue;
    const window = WINDOWS[warp.i32[address.row + i * address.step + 1]];
    if (window === undefined || (found !== undefined && window !== found)) {
      wild(warp, { address, site, lane: i });
      throw new Halt("a generic address");
    }
    found = window;
  }
  return found ?? "global";
}

/** Reports an address that is in no space. */
function wild(
  warp: Warp,
  { address, site, lane }: {
    readonly address: Address;
    readonly site: number;
    readonly lane: number;
  },
): void {
  const high = warp.u32[address.row + lane * address.step + 1];
  const low = warp.u32[address.row + lane * address.step] + address.offset;
  const text = `0x${(high * 2 ** 32 + low).toString(16)}`;
  const message = `the address ${text} is in no memory of the device`;
  warp.block.findings.add(warp, { kind: "out-of-bounds", site, lane, message });
}

/**
 * Lanes whose global addresses are in device memory's window; the others are reported.
 * @param warp Who
 * @param address The operand
 * @param site Index of the instruction
 */
export function inWindow(warp: Warp, address: Address, site: number): number {
  let good = warp.mask;
  if (address.step === 1) return good;
  for (let i = 0; i < 32; i++) {
    if ((good >>> i & 1) === 0) continue;
    if (warp.i32[address.row + 2 * i + 1] === GLOBAL_WINDOW) continue;
    wild(warp, { address, site, lane: i });
    good &= ~(1 << i);
  }
  return good;
}

/** The bytes of a space. @param warp Who @param space Not generic */
export function memoryOf({ block, index }: Warp, space: Space): Memory {
  switch (space) {
    case "shared":
      return block.shared;
    case "local":
      return block.local[index];
    case "param":
      return block.parameters;
    default:
      return block.device;
  }
}
