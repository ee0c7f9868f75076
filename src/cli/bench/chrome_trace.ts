/**
 * A timeline in the JSON form that Perfetto and chrome://tracing read: a lane for each thread, a bar for each kernel's work.
 * @module
 */
import type { KernelTrace, ProgramInfo, TracedCall } from "../../train/mod.ts";

/** A bar: `X` is a whole event, times in microseconds. */
interface TraceEvent {
  readonly ph: "X" | "M";
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/**
 * The trace as JSON text. Work and waiting at the barrier behind it are bars of their own.
 * @param trace A recording
 * @param info The program
 */
export function chromeTrace(trace: KernelTrace, info: ProgramInfo): string {
  const shapes = new Map(info.tensors.map(({ name, shape, dtype }) => [name, { shape, dtype }]));
  const threads = trace.calls.at(0)?.spans.length ?? 0;
  const events: TraceEvent[] = [
    named("process_name", 0, info.name),
    ...Array.from(
      { length: threads },
      (_, thread) => named("thread_name", thread, `thread ${thread}`),
    ),
    ...trace.calls.flatMap((call) => eventsOf(call, shapes)),
  ];
  const metadata = { program: info.name, hash: info.hash, dropped_calls: trace.dropped };
  const lines = events.map((event) => JSON.stringify(event)).join(",\n");
  return `{"displayTimeUnit":"ms","metadata":${
    JSON.stringify(metadata)
  },"traceEvents":[\n${lines}\n]}\n`;
}

function named(name: "process_name" | "thread_name", tid: number, value: string): TraceEvent {
  return { ph: "M", name, pid: 1, tid, args: { name: value } };
}

function eventsOf(
  call: TracedCall,
  shapes: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: string }>,
): TraceEvent[] {
  const { kernel, phase, flops, bytes } = call;
  const args = {
    kernel,
    phase,
    layer: layerOf(call.tensors),
    tensors: call.tensors.map((name) => {
      const known = shapes.get(name);
      return known === undefined ? name : `${name} ${known.dtype}[${known.shape.join(", ")}]`;
    }),
    flops,
    bytes,
  };
  return call.spans.flatMap(({ begin, worked, end }, tid): TraceEvent[] => [
    { ph: "X", name: kernel, cat: phase, pid: 1, tid, ...bar(begin, worked), args },
    { ph: "X", name: "wait", cat: "barrier", pid: 1, tid, ...bar(worked, end), args: { kernel } },
  ]);
}

function bar(begin: number, end: number): { ts: number; dur: number } {
  const microseconds = (seconds: number) => Math.round(seconds * 1e9) / 1000;
  return { ts: microseconds(begin), dur: microseconds(end - begin) };
}

/** The number in `model.layers.3.…`, of the last tensor that has one: outputs stand last. -1 outside layers. */
function layerOf(tensors: readonly string[]): number {
  const numbers = tensors.map((name) => name.match(/\.(\d+)\./)?.[1]);
  return Number(numbers.findLast((number) => number !== undefined) ?? -1);
}
