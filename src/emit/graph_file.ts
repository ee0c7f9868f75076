/**
 * The name that compiling and generated trainers of the reference target agree on.
 * @module
 */

/** File of the graph that the reference target interprets. */
export const GRAPH_FILE = "program.graph";
