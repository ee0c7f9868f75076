/**
 * Tuned values for select: those of this machine, this compiler and the kernels' present text that their kernels still allow.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../targets/target.ts";
import { Database, defaultDatabase, type Entry } from "./database.ts";
import { callKey, KernelHashes, placeOf } from "./keys.ts";

/** Values for select, and what there is to say about them. */
export interface TunedChoice {
  readonly choose: (kernel: Kernel, call: KernelCall) => Tunables | undefined;
  /** Distinct calls that something can be tuned of, and those of them that have tuned values; grows while choosing. */
  readonly counts: () => { readonly tunable: number; readonly tuned: number };
  /** Entries that were found and not taken. */
  readonly notes: readonly string[];
}

/**
 * Values from a file; one that is damaged gives none, and a note.
 * @param file The database; the default one where it is not said
 * @param on Instruction set and threads of the program
 * @throws {PacacError} io Where a file that was named cannot be read
 */
export function openChoice(
  file: string | undefined,
  on: { readonly isa: Isa; readonly threads: number },
): Omit<TunedChoice, "notes"> & { readonly say: () => readonly string[] } {
  const path = file ?? defaultDatabase();
  let database = new Database();
  const notes: string[] = [];
  try {
    database = Database.read(path);
  } catch (error) {
    // Nobody named the default file: it must not stand in the way.
    if (file !== undefined || !(error instanceof PacacError)) throw error;
    notes.push(`${error.message} (${path})`);
  }
  const choice = choiceFrom(database, on);
  return {
    choose: choice.choose,
    counts: choice.counts,
    say() {
      const { tuned, tunable } = choice.counts();
      const found = `tuned values for ${tuned} of ${tunable} kernels from ${path}`;
      const line = tuned === 0 ? [] : [`${found}; --no-tuned compiles the defaults`];
      return [...notes, ...database.notes, ...choice.notes, ...line];
    },
  };
}

/**
 * Values from a database.
 * @param database The database
 * @param on Instruction set and threads of the program
 */
export function choiceFrom(
  database: Database,
  on: { readonly isa: Isa; readonly threads: number },
): TunedChoice {
  const place = database.entries.length === 0 ? undefined : placeOf(on.isa, on.threads);
  const hashes = new KernelHashes();
  const seen = new Map<string, Entry | undefined>();
  const notes: string[] = [];
  const look = (kernel: Kernel, call: KernelCall, key: string): Entry | undefined => {
    const kernelHash = place === undefined ? undefined : hashes.of(kernel.name);
    if (place === undefined || kernelHash === undefined) return undefined;
    const entry = database.find(place, { kernel: kernel.name, kernelHash, call: key });
    if (entry === undefined) return undefined;
    if (isAllowed(entry.values, { kernel, call, isa: on.isa })) return entry;
    notes.push(`tuned values of ${kernel.name} are not allowed: ${JSON.stringify(entry.values)}`);
    return undefined;
  };
  return {
    notes,
    choose(kernel, call) {
      if (!isTunable(kernel)) return undefined;
      const key = callKey(kernel, call, on.isa);
      if (!seen.has(key)) seen.set(key, look(kernel, call, key));
      const entry = seen.get(key);
      // Where the defaults were best, those of today are taken: a later version may know better ones.
      return entry === undefined || entry.gain === 1 ? undefined : entry.values;
    },
    counts: () => ({
      tunable: seen.size,
      tuned: [...seen.values()].filter((entry) => entry !== undefined).length,
    }),
  };
}

/**
 * Whether a kernel declares anything to tune.
 * @param kernel The kernel
 */
export function isTunable(kernel: Kernel): boolean {
  return Object.keys(kernel.tunables).length > 0;
}

/**
 * Whether there is a declared value for each tunable and no other, and the kernel allows them together.
 * @param values Values from anywhere
 * @param on The kernel, the call, the instruction set
 */
export function isAllowed(
  values: Tunables,
  { kernel, call, isa }: { readonly kernel: Kernel; readonly call: KernelCall; readonly isa: Isa },
): boolean {
  const names = Object.keys(kernel.tunables);
  return names.length === Object.keys(values).length &&
    names.every((name) =>
      Object.hasOwn(values, name) && kernel.tunables[name].includes(values[name])
    ) &&
    kernel.legal(values, isa, call);
}
