/**
 * What weight decay pulls a delta to in parametrisation "weight", the paper's: there the whole columns W0[:, idx] + s·D shrink,
 * so D is pulled to -W0[:, idx]/s. In parametrisation "delta" it is pulled to 0 and there are no anchors.
 * @module
 */
import type { Engine } from "./engine.ts";
import { takeColumns } from "../formats/adapter.ts";
import { anchorOf, scaleOf } from "./program.ts";

/**
 * Fills the anchors from the weights and columns as they are now.
 * @param engine The program
 * @param changed Only linears that use this index or weight tensor; all where it is not said
 */
export function refreshAnchors(engine: Engine, changed?: string): void {
  const { info } = engine;
  if (info.parametrisation !== "weight") return;
  for (const linear of info.adapted) {
    if (changed !== undefined && changed !== linear.weight && changed !== linear.indices) continue;
    const options = { inFeatures: linear.inFeatures, factor: -1 / scaleOf(info) };
    const columns = takeColumns(engine.read(linear.weight), engine.read(linear.indices), options);
    engine.write(anchorOf(linear), columns);
  }
}
