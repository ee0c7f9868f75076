/**
 * A thread that reads one Parquet file. Its library goes round for ever on some damaged pages; a thread can be ended then.
 *
 * It sends what happens, and a group's rows only when they are asked for, in pieces.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { must, PacacError, type Place } from "../../errors.ts";
import { messageOf } from "../json.ts";
import { parquetGroups } from "./parquet_groups.ts";

/** What the thread sends. */
export type ParquetMessage =
  | { readonly kind: "read"; readonly bytes: number }
  | { readonly kind: "group"; readonly group: number; readonly bytes: number }
  | { readonly kind: "rows"; readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | {
    readonly kind: "fault";
    readonly code: "io" | "data-invalid";
    readonly message: string;
    readonly place: Place;
    readonly remedy: string;
  }
  | { readonly kind: "end" };

/** Rows of a message: a group of millions would be in memory three times over. */
const ROWS = 1024;

const port = must(parentPort, "the thread's port");
const send = (message: ParquetMessage) => port.postMessage(message);

/** One waits for each piece that is asked for. */
let asked = Promise.withResolvers<void>();
port.on("message", () => asked.resolve());

async function piece(rows: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
  await asked.promise;
  asked = Promise.withResolvers<void>();
  send({ kind: "rows", rows });
}

async function readAll(file: string): Promise<void> {
  const groups = parquetGroups(file, {
    onRead: (bytes) => send({ kind: "read", bytes }),
    onGroup: (group, bytes) => send({ kind: "group", group, bytes }),
  });
  for await (const rows of groups) {
    for (let at = 0; at < rows.length; at += ROWS) await piece(rows.slice(at, at + ROWS));
  }
  await asked.promise;
  send({ kind: "end" });
}

readAll(String(workerData)).catch((error) => {
  const known = error instanceof PacacError ? error : undefined;
  send({
    kind: "fault",
    code: known?.code === "io" ? "io" : "data-invalid",
    message: known?.message ?? `Cannot read Parquet: ${messageOf(error)}`,
    place: known?.place ?? { file: String(workerData) },
    remedy: known?.remedy ?? "fetch the file again",
  });
});
