/**
 * The machine's peaks, as the database keeps them.
 * @module
 */
import { machineOf } from "../build/machine.ts";
import type { Isa, Machine } from "../targets/target.ts";
import { Database, update } from "./database.ts";
import type { Place } from "./keys.ts";

/**
 * The machine's rates, kept with what is measured by them. Other processes can only make a measurement slower, so each run
 * measures again and the best counts.
 * @param place This machine
 * @param options The database's file, the instruction set
 */
export async function bestMachine(
  place: Place,
  { file, isa }: { readonly file: string; readonly isa: Isa },
): Promise<Machine> {
  const { processor, threads } = place;
  const now = await machineOf(isa, { threads, fresh: true });
  const known = Database.read(file).machine(place);
  const flopsPerSecond = Math.max(now.flopsPerSecond, known?.flopsPerSecond ?? 0);
  const pairs = Math.max(now.pairFlopsPerSecond ?? 0, known?.pairFlopsPerSecond ?? 0);
  const pairFlopsPerSecond = pairs > 0 ? pairs : undefined;
  const bytesPerSecond = Math.max(now.bytesPerSecond, known?.bytesPerSecond ?? 0);
  const measured = new Date().toISOString();
  const peaks = { flopsPerSecond, pairFlopsPerSecond, bytesPerSecond };
  const rates = { processor, isa: isa.name, threads, ...peaks, measured };
  if (now.measured) update(file, (database) => database.addMachine(rates));
  return { ...now, ...peaks };
}
