/**
 * Starts, positions and targets of packed documents; one thread, a pass over T integers.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** start, position and target of each token. */
export const documents: Kernel = untuned("documents");
