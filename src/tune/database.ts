/**
 * The file of tuned values: what was measured where, for which text of which kernel at which shape.
 *
 * It may come from another machine or a stranger: sizes are bounded, and an entry that does not fit is left out with a note.
 * Whether values are legal is for their kernel to say (choose.ts).
 * @module
 */
import { z } from "zod";
import { keyOf } from "../build/cache.ts";
import { PacacError } from "../errors.ts";
import { makeFolder, publishText } from "../formats/atomic.ts";
import { fileSize, readJson } from "../formats/files.ts";
import { cacheFolder } from "../knobs.ts";
import type { KernelHashes, Place } from "./keys.ts";

const MAX_BYTES = 64 << 20;
const MAX_ENTRIES = 100_000;

const text = z.string().min(1).max(4096);
const positive = z.number().positive().max(1e30);
const place = {
  processor: text,
  isa: text,
  threads: z.int().min(1).max(4096),
  compiler: text,
};

const entrySchema = z.strictObject({
  ...place,
  kernel: text,
  /** Of the kernel's template and headers. */
  kernelHash: text,
  /** callKey of keys.ts. */
  call: text,
  values: z.record(z.string().max(64), z.union([z.number(), z.string().max(64)]))
    .refine((values) => Object.keys(values).length <= 32, "too many values"),
  /** Time of the defaults by the time of these values; 1 where the defaults are the best. */
  gain: positive,
  /** Seconds of a call with these values. */
  seconds: positive,
  flopsPerSecond: z.number().min(0).max(1e30),
  /** When it was measured. */
  measured: z.iso.datetime(),
});

const machineSchema = z.strictObject({
  processor: text,
  isa: text,
  threads: z.int().min(1).max(4096),
  flopsPerSecond: positive,
  pairFlopsPerSecond: positive.optional(),
  bytesPerSecond: positive,
  measured: z.iso.datetime(),
});

const fileSchema = z.object({
  version: z.literal(1),
  machines: z.array(z.unknown()).max(10_000),
  entries: z.array(z.unknown()).max(MAX_ENTRIES),
});

/** Tuned values of a call. */
export type Entry = z.infer<typeof entrySchema>;
/** Rates of a machine. */
export type MachineEntry = z.infer<typeof machineSchema>;

/** The default file, in the user's cache folder. */
export function defaultDatabase(): string {
  return `${cacheFolder()}/tuned.json`;
}

/** Entries and machines in memory; the newest of a key counts. */
export class Database {
  readonly #entries = new Map<string, Entry>();
  readonly #machines = new Map<string, MachineEntry>();
  /** What was left out on reading. */
  readonly notes: string[] = [];

  /**
   * Reads a file; one that is not there is empty.
   * @param file Its path
   * @throws {PacacError} io Where it is no database, or cannot be read
   */
  static read(file: string): Database {
    const database = new Database();
    if (fileSize(file) === undefined) return database;
    const read = fileSchema.safeParse(readJson(file, { code: "io", maxBytes: MAX_BYTES }));
    if (!read.success) {
      throw new PacacError("io", "Cannot read tuned values: the file is no database of them", {
        place: { file },
        remedy: "delete it, or name another with --db",
      });
    }
    const { entries, machines } = read.data;
    let left = 0;
    for (const candidate of entries) {
      const entry = entrySchema.safeParse(candidate);
      if (entry.success) database.add(entry.data);
      else left++;
    }
    for (const candidate of machines) {
      const machine = machineSchema.safeParse(candidate);
      if (machine.success) database.addMachine(machine.data);
      else left++;
    }
    if (left > 0) database.notes.push(`${file}: ${left} entries are damaged and left out`);
    return database;
  }

  /** All entries. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** All machines. */
  get machines(): readonly MachineEntry[] {
    return [...this.#machines.values()];
  }

  /**
   * The entry of a call.
   * @param at Where it is to run
   * @param call Kernel, its hash, the call's key
   */
  find(at: Place, call: Pick<Entry, "kernel" | "kernelHash" | "call">): Entry | undefined {
    const { kernel, kernelHash, call: key } = call;
    return this.#entries.get(entryKey({ ...at, kernel, kernelHash, call: key }));
  }

  /**
   * The rates of a machine.
   * @param at Processor, instruction set, threads
   */
  machine(at: Omit<Place, "compiler">): MachineEntry | undefined {
    return this.#machines.get(machineKey(at));
  }

  /**
   * Adds an entry, unless a newer one of its key is there.
   * @param entry The entry
   */
  add(entry: Entry): void {
    const key = entryKey(entry);
    const known = this.#entries.get(key);
    if (known === undefined || known.measured <= entry.measured) this.#entries.set(key, entry);
  }

  /**
   * Adds a machine, unless newer figures of it are there.
   * @param machine The machine
   */
  addMachine(machine: MachineEntry): void {
    const key = machineKey(machine);
    const known = this.#machines.get(key);
    if (known === undefined || known.measured <= machine.measured) {
      this.#machines.set(key, machine);
    }
  }

  /**
   * Takes over what another database has and this one has not, or has older.
   * @param other The other
   */
  merge(other: Database): void {
    other.entries.forEach((entry) => this.add(entry));
    other.machines.forEach((machine) => this.addMachine(machine));
  }

  /**
   * Drops entries of kernels whose text has changed since, and of this processor those of another compiler.
   * @param hashes The kernels' present hashes
   * @param here This machine; compilers of other machines are not known
   * @returns How many were dropped
   */
  prune(hashes: KernelHashes, here: Pick<Place, "processor" | "compiler"> | undefined): number {
    let dropped = 0;
    for (const [key, entry] of this.#entries) {
      const stale = entry.kernelHash !== hashes.of(entry.kernel) ||
        (entry.processor === here?.processor && entry.compiler !== here.compiler);
      if (!stale) continue;
      this.#entries.delete(key);
      dropped++;
    }
    return dropped;
  }

  /**
   * Publishes the file.
   * @param file Its path
   * @throws {PacacError} io
   */
  write(file: string): void {
    const content = {
      version: 1,
      machines: this.machines,
      entries: this.entries.toSorted((a, b) => entryKey(a) < entryKey(b) ? -1 : 1),
    };
    makeFolder(file.slice(0, file.lastIndexOf("/")) || ".");
    publishText(file, `${JSON.stringify(content, undefined, 1)}\n`);
  }
}

/**
 * Adds to a file what was measured, keeping what another tuner has added meanwhile.
 * @param file Its path
 * @param add Changes the database
 * @throws {PacacError} io
 */
export function update(file: string, add: (database: Database) => void): Database {
  const database = Database.read(file);
  add(database);
  database.write(file);
  return database;
}

function entryKey(entry: Place & Pick<Entry, "kernel" | "kernelHash" | "call">): string {
  const { compiler, kernel, kernelHash, call } = entry;
  return keyOf(machineKey(entry), compiler, kernel, kernelHash, call);
}

function machineKey({ processor, isa, threads }: Omit<Place, "compiler">): string {
  return keyOf(processor, isa, `${threads}`);
}
