/**
 * resolve: the model that a description names becomes a written-out architecture.
 *
 * Needs: the loaded description. Gives: the architecture, where weights and tokenizer lie, and config.json for models saved later.
 * It stands before lower, which knows builders' steps alone. No weight is read here, only headers and config.json.
 * @module
 */
import { dirname, isAbsolute, resolve as join } from "node:path";
import { checkWindow, openWeights, readConfig, readJson, resolveModel } from "../formats/mod.ts";
import { FAMILIES } from "../spec/families/mod.ts";
import type { Architecture, FineTuneSpec } from "../spec/description.ts";

/** A model, ready to lower. */
export interface ResolvedModel {
  readonly architecture: Architecture;
  /** Hub id or folder of weights and tokenizer; "" where there is none. */
  readonly source: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What {@linkcode resolve} takes beside the description. */
export interface ResolveOptions {
  /** Path of the description: folders are relative to it. */
  readonly path: string;
  /** Folder that overrides the description's (`--weights`). */
  readonly weights?: string;
}

/**
 * Finds the model and writes it out.
 * @param spec The description
 * @param options Where it lies, and an override
 * @throws {PacacError} model-not-found, config-invalid, family-unknown, safetensors-invalid
 */
export function resolve(spec: FineTuneSpec, { path, weights }: ResolveOptions): ResolvedModel {
  const { model } = spec;
  const base = dirname(path);
  if (model.kind === "architecture") {
    const source = model.folder === "" ? "" : join(base, model.folder);
    // Nothing of them is needed to compile: but a path that was named and is wrong is told now.
    if (weights !== undefined) openWeights(weights);
    return { architecture: model.architecture, source, config: {} };
  }
  const { folder, configPath } = resolveModel(model.source, {
    base,
    need: "config",
    ...(weights === undefined ? {} : { weights }),
  });
  const config = readConfig(configPath);
  checkWindow(config, { seqLen: spec.train.seqLen, file: configPath });
  const family = FAMILIES[config.modelType]; // typed: a family that formats reads must be there
  const local = model.source.startsWith(".") || isAbsolute(model.source);
  return {
    architecture: family(config),
    source: local ? folder : model.source,
    config: readJson(configPath, { code: "config-invalid" }) as Record<string, unknown>,
  };
}
