/**
 * The sum of two activations where no kernel could take it as an epilogue; threads share elements.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** y = a + b. */
export const add: Kernel = untuned("add");
