/**
 * The gradient of the embedding table; threads share columns, so that sums have one order.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** dweight[ids[t]] += dy[t]. */
export const embedBackward: Kernel = untuned("embed_backward");
