/**
 * The reference target: float64 in TypeScript, no toolchain. What its generated trainer imports.
 * @module
 */
export { ReferenceEngine } from "./engine.ts";
export { Interpreter } from "./interpret.ts";
export { parse } from "../../graph/parse.ts";
