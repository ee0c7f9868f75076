/**
 * Files that other programs write and read: safetensors, Hugging Face models and configs, adapters.
 * @module
 */
export {
  type AdaptedModule,
  ADAPTER_FORMATS,
  type AdapterFormat,
  type AdapterSettings,
  type BaseColumns,
  type ModuleToWrite,
  type ModuleUpdate,
} from "./adapter.ts";
export { type Adapter, type AdapterBuild, readAdapter } from "./adapter_reader.ts";
export { writeAdapter, type WriteAdapterOptions } from "./adapter_writer.ts";
export {
  makeFolder,
  publish,
  publishBytes,
  publishChunks,
  publishCopy,
  publishText,
} from "./atomic.ts";
export {
  type Dtype,
  DTYPE_SIZES,
  type FloatDtype,
  fromBf16,
  fromFloat32,
  toBf16,
  toFloat32,
} from "./dtype.ts";
export { exportAdapter, type ExportKind, type ExportOptions } from "./export.ts";
export { fileSize, isFolder, join, readJson } from "./files.ts";
export { type GgufAdapterOptions, writeGgufAdapter } from "./gguf_adapter.ts";
export { type GgufModel, writeGgufModel } from "./gguf_export.ts";
export { type GgufBase, type GgufWeight, openGguf, unpackGguf } from "./gguf_import.ts";
export { type WrittenDtype } from "./gguf_quantise.ts";
export {
  checkWindow,
  type Family,
  type LlamaConfig,
  parseConfig,
  readConfig,
  type RopeScaling,
} from "./hf_config.ts";
export { type Environment, processEnvironment } from "./hub_cache.ts";
export { cachedDataset, type DatasetName, parseDatasetName } from "./hub_dataset.ts";
export { downloadDataset, downloadModel } from "./hub_download.ts";
export type { DownloadOptions, DownloadProgress } from "./hub_repository.ts";
export {
  filesToUpload,
  type FileToUpload,
  type Uploaded,
  uploadFolder,
  type UploadOptions,
  type UploadProgress,
} from "./hub_upload.ts";
export { type MergedModel, writeMerged } from "./merged.ts";
export { type CardFacts, modelCard } from "./model_card.ts";
export {
  type ModelFolder,
  openWeights,
  resolveModel,
  type ResolveOptions,
} from "./model_folder.ts";
export {
  byteChunks,
  type ByteRange,
  openSafetensors,
  readBytes,
  readFloat32,
  readInt32,
  type SafetensorsFile,
  tensorOf,
} from "./safetensors.ts";
export type { SafetensorsHeader, TensorInfo } from "./safetensors_header.ts";
export { type TensorToWrite, type WriteOptions, writeSafetensors } from "./safetensors_writer.ts";
