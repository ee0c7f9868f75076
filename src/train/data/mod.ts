/**
 * From data files to rows of token ids.
 * @module
 */
export { alpacaPrompt, type Instruction } from "./alpaca.ts";
export { type Document, type MmluQuestion, TRAIN_ON, type TrainOn } from "./document.ts";
export { DATA_FORMATS, type DataFormat, FIELD_NAMES } from "./formats.ts";
export { type DataIdentity, type FileIdentity, requireSameData } from "./identity.ts";
export { type DataInput, listFiles, parseInput, parseMap, pinnedInput } from "./inputs.ts";
export { PACK_STRATEGIES, type PackStrategy } from "./layout.ts";
export { type DataOptions, type DataProgress, loadData, type LoadedData } from "./load.ts";
export { mmluPrompt, mmluQuestion, type MmluSurroundings, mmluSurroundings } from "./mmlu.ts";
export { RowOrder, rowsOfEpoch, takeRows, type TrainingData } from "./order.ts";
export { pack, type PackedData, type PackOptions, type PackStats } from "./pack.ts";
export type { Row } from "./rows.ts";
export { type DataSummary, type LengthBin, summarize } from "./summary.ts";
export { type MixPart, TokenRows, type TokenRowsOptions } from "./token_rows.ts";
export { type DocumentIndex, type TokenSource, TokenStore } from "./token_store.ts";
export type { FileReport, SkippedRow } from "./tokenize.ts";
