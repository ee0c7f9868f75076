/**
 * What the passes end with and emission starts from; defined beside the targets, which passes know too.
 * @module
 */
export type { Plan, PlannedCall } from "../targets/plan.ts";
