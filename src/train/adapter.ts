/**
 * Adapters into a program and out of it.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { AdapterFormat } from "../formats/adapter.ts";
import { readAdapter } from "../formats/adapter_reader.ts";
import { writeAdapter } from "../formats/adapter_writer.ts";
import { type CardFacts, licenseIn } from "../formats/model_card.ts";
import { baseColumnsOf } from "./base.ts";
import type { ProgramInfo, TensorStore } from "./engine.ts";
import { floats, integers } from "./program.ts";
import type { Trainer } from "./trainer.ts";

/**
 * Fills columns and deltas from an adapter folder, in any of its forms.
 * @param engine A program whose weights are filled
 * @param folder The adapter
 * @param options Where the weights came from
 * @throws {PacacError} adapter-invalid, safetensors-invalid, io, usage
 */
export function loadAdapter(
  engine: TensorStore,
  folder: string,
  { weights }: { readonly weights: string | undefined },
): void {
  const { info } = engine;
  requirePaca(info, "load");
  const { rank, alpha, adapted } = info;
  const { modules } = readAdapter(folder, { rank, alpha, modules: adapted }, {
    baseColumns: baseColumnsOf(engine, weights),
  });
  const updates = new Map(modules.map((update) => [update.module, update]));
  for (const linear of adapted) {
    const update = updates.get(linear.module);
    if (update === undefined) continue;
    engine.write(linear.indices, update.indices);
    engine.write(linear.delta, update.delta);
  }
}

/** How an adapter is saved. */
export interface SaveAdapterOptions {
  /** peft 0.22's form where it is not said, the paper's, or exact LoRA. */
  readonly format?: AdapterFormat;
  /** What its README.md says beside what it is. */
  readonly card?: CardFacts;
}

/**
 * Writes columns and deltas as an adapter folder.
 * @param trainer The trainer
 * @param dir The folder
 * @param options Its form, and what its card says
 * @throws {PacacError} io, usage
 */
export function saveAdapter(
  trainer: Trainer,
  dir: string,
  { format = "peft", card }: SaveAdapterOptions,
): Promise<void> {
  const { engine, info } = trainer;
  requirePaca(info, "save");
  const modules = info.adapted.map(({ module, outFeatures, inFeatures, indices, delta }) => ({
    module,
    outFeatures,
    inFeatures,
    indices: integers(engine.read(indices)),
    delta: floats(engine.read(delta)),
  }));
  writeAdapter(dir, modules, {
    format,
    rank: info.rank,
    alpha: info.alpha,
    baseModel: info.source,
    targetModules: targetsOf(info),
    baseColumns: baseColumnsOf(engine, trainer.weights),
    license: trainer.weights === undefined ? undefined : licenseIn(trainer.weights),
    ...(card === undefined ? {} : { card }),
  });
  return Promise.resolve();
}

/** Last parts of the adapted modules' names, as people write targets; peft matches modules by them. */
function targetsOf({ adapted }: ProgramInfo): string[] {
  return [...new Set(adapted.map(({ module }) => module.slice(module.lastIndexOf(".") + 1)))];
}

function requirePaca({ method }: ProgramInfo, action: string): void {
  if (method === "paca") return;
  throw new PacacError("usage", `Cannot ${action} an adapter: the method is ${method}`, {
    place: { field: "adapt" },
    remedy: "saved merged weights (saveMerged) hold all that method full trains",
  });
}
