/**
 * All methods by name. A new method is a file of this folder and a line here.
 * @module
 */
import { must } from "../errors.ts";
import type { AdaptSpec } from "../spec/description.ts";
import { full } from "./full.ts";
import type { Method } from "./method.ts";
import { paca } from "./paca.ts";

/** Every method of adaptation. */
const METHODS: readonly (
  | Method<Extract<AdaptSpec, { method: "paca" }>>
  | Method<Extract<AdaptSpec, { method: "full" }>>
)[] = [paca, full];

/**
 * The method of a description, as one over any description.
 * @param spec What the description says
 */
export function methodOf(spec: AdaptSpec): Method {
  const method = METHODS.find(({ name }) => name === spec.method);
  return must(method, `method ${spec.method}`) as Method;
}
