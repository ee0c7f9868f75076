/**
 * Programs that carry one for each of several instruction sets: the processor's best is chosen when the program is loaded.
 * @module
 */
import { PacacError } from "../errors.ts";

/**
 * The instruction set to load.
 * @param carried What the program was built for
 * @param here What this processor has, the best first
 * @param wanted In place of the best
 * @throws {PacacError} load-failed, where the program was not built for it, or the processor does not have it
 */
export function chooseVariant<Name extends string>(
  carried: readonly Name[],
  here: readonly string[],
  wanted?: string,
): Name {
  const possible = here.flatMap((name) => carried.filter((own) => own === name));
  const chosen = wanted === undefined ? possible[0] : possible.find((name) => name === wanted);
  if (chosen !== undefined) return chosen;
  const state = wanted === undefined
    ? `it is built for ${carried.join(", ")}, this processor has ${here.join(", ")}`
    : carried.some((name) => name === wanted)
    ? `this processor does not have ${wanted}`
    : `it is built for ${carried.join(", ")}, not for ${wanted}`;
  throw new PacacError("load-failed", `Cannot load the program: ${state}`, {
    place: { field: "isa" },
    remedy: possible.length === 0
      ? "compile the model description on this machine"
      : `take one of ${possible.join(", ")}, or the best of them by naming none`,
  });
}
