/**
 * `tune`: searches each kernel's declared parameters on this machine at a model's shapes; compile then uses what was found.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import { Database, defaultDatabase, update } from "../tune/database.ts";
import { KernelHashes, processorAndCompiler } from "../tune/keys.ts";
import { rank, type RankedCall } from "../tune/rank.ts";
import { tune, type TunedCall, type TuneReport } from "../tune/tune.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { aside, duration, note, percent, print, table } from "./print.ts";
import { type CompileFlags, compileSpec } from "./program.ts";
import { Status } from "./progress.ts";
import { Exit } from "./run.ts";

/** The command. */
export function tuneCommand(): PlainCommand {
  return new Command()
    .argument("[spec]", "Model description, a .ts file")
    .addOption(option.weights())
    .addOption(option.minutes())
    .addOption(option.kernels())
    .addOption(option.again())
    .addOption(option.database())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.gpu())
    .addOption(option.threads())
    .addOption(option.seed())
    .addOption(option.exportTo())
    .addOption(option.importFrom())
    .addOption(option.prune())
    .addOption(option.json())
    .action(async (spec, flags) => {
      const file = flags.db === undefined ? defaultDatabase() : userPath(flags.db);
      const kept = keep(file, flags);
      if (spec === undefined) {
        if (kept) return;
        throw new PacacError("usage", "Cannot tune: no model description was given", {
          remedy: "name a .ts file, or use --export, --import or --prune",
        });
      }
      await tuneSpec(spec, { ...flags, file });
    }) as unknown as PlainCommand;
}

interface FileFlags {
  readonly export?: string | undefined;
  readonly import?: string | undefined;
  readonly prune?: true | undefined;
}

/** What is done to the database alone; says whether there was anything to do. */
function keep(file: string, flags: FileFlags): boolean {
  if (flags.import !== undefined) {
    const other = Database.read(present(userPath(flags.import)));
    other.notes.forEach(note);
    update(file, (database) => database.merge(other));
    note(`${file}: ${other.entries.length} entries taken over from ${flags.import}`);
  }
  if (flags.prune === true) {
    let dropped = 0;
    const { entries } = update(file, (database) => {
      dropped = database.prune(new KernelHashes(), processorAndCompiler());
    });
    note(`${file}: ${dropped} entries dropped, ${entries.length} kept`);
  }
  if (flags.export !== undefined) {
    const database = Database.read(present(file));
    database.write(userPath(flags.export));
    note(`${flags.export}: ${database.entries.length} entries`);
  }
  return flags.import !== undefined || flags.export !== undefined || flags.prune === true;
}

function present(file: string): string {
  try {
    if (Deno.statSync(file).isFile) return file;
  } catch {
    // Said below, whatever the reason.
  }
  throw new PacacError("io", "Cannot read tuned values: there is no such file", {
    place: { file },
  });
}

interface TuneFlags {
  readonly file: string;
  readonly target: "cpu" | "cuda" | "reference";
  readonly isa: string;
  readonly gpu?: CompileFlags["gpu"] | undefined;
  readonly threads?: number | undefined;
  readonly weights?: string | undefined;
  readonly minutes: number;
  readonly kernels: string;
  readonly again?: true | undefined;
  readonly seed?: number | undefined;
  readonly json?: true | undefined;
}

async function tuneSpec(spec: string, flags: TuneFlags): Promise<void> {
  if (flags.target === "reference") {
    throw new PacacError("target-unknown", "Cannot tune reference: it has nothing to choose", {
      place: { field: "--target" },
      remedy: "use --target cpu",
    });
  }
  if (flags.isa === "multi") {
    throw new PacacError("usage", "Cannot tune several instruction sets at once", {
      place: { field: "--isa" },
      remedy: "tune one that this processor has; compile --isa multi takes what was found for each",
    });
  }
  const loaded = await loadSpec(userPath(spec));
  const { file, minutes, again = false, seed } = flags;
  const { gpu, ...others } = flags;
  const { plan, summary } = await compileSpec(loaded, {
    ...others,
    ...(gpu === undefined ? {} : { gpu }),
    build: false,
    tuned: false,
  });
  const wanted = glob(flags.kernels);
  const names = [...new Set(plan.calls.map(({ kernel }) => kernel.name))];
  if (!names.some((name) => wanted.test(name))) {
    throw new PacacError("usage", `No kernel of ${plan.info.name} matches ${flags.kernels}`, {
      place: { field: "--kernels" },
      remedy: `it has ${names.join(", ")}`,
    });
  }
  if (flags.target === "cuda") {
    const { machine } = summary;
    const ranked = rank(plan, {
      machine,
      wanted: (kernel) => wanted.test(kernel),
      ...(seed === undefined ? {} : { seed }),
    });
    const facts = { machine, measured: false, calls: ranked };
    return print(flags.json === true ? JSON.stringify(facts) : rankText(ranked, machine));
  }
  const status = new Status();
  using interrupt = new Interrupt("stopping");
  const report = await tune(plan, {
    file,
    seconds: 60 * minutes,
    wanted: (kernel) => wanted.test(kernel),
    again,
    signal: interrupt.signal,
    // A batch takes seconds: where no line can be rewritten, each is one.
    onProgress: (text) => Deno.stderr.isTerminal() ? status.show(text) : note(text),
    ...(seed === undefined ? {} : { seed }),
  }).catch((error: unknown) => {
    // Stopped before there was anything to keep.
    throw interrupt.signal.aborted ? new Exit(interrupt.exitCode) : error;
  }).finally(() => status.end());
  print(flags.json === true ? JSON.stringify(report) : reportText(report));
  if (!report.stopped) return;
  note(aside(`stopped; what is done is kept in ${file}, the same command goes on behind it`));
  throw new Exit(interrupt.exitCode);
}

/** What is predicted for a GPU. */
function rankText(
  ranked: readonly RankedCall[],
  { processor }: { readonly processor: string },
): string {
  const step = (which: "default" | "best") =>
    ranked.reduce((sum, one) => sum + one.calls * one[which].seconds, 0);
  const micro = (seconds: number) => `${(1e6 * seconds).toFixed(1)} us`;
  return [
    table([
      ["kernel", "calls", "candidates", "default", "best", "gain", "occupancy", "best values"],
      ...ranked.map(({ op, shape, calls, candidates, default: own, best }) => [
        `${op} ${shape}`,
        `${calls}`,
        `${candidates}`,
        micro(own.seconds),
        micro(best.seconds),
        `${(own.seconds / best.seconds).toFixed(3)}x`,
        best.occupancy === undefined ? "" : percent(best.occupancy),
        best === own
          ? "the defaults"
          : Object.entries(best.values).map((pair) => pair.join(" ")).join(" "),
      ]),
    ]),
    "",
    `predicted      for ${processor}, by roofline, edges and rounds of blocks: nothing was timed, nothing is kept`,
    `these kernels  ${(step("default") / step("best")).toFixed(3)}x`,
  ].join("\n");
}

/** `*` stands for any letters, `?` for one. */
function glob(pattern: string): RegExp {
  const text = pattern.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${text.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

function reportText(report: TuneReport): string {
  const { machine, calls, file } = report;
  const peak = `${(machine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`;
  const waiting = calls.filter(({ state }) => state === "waiting").length;
  const correlation = report.rankCorrelation;
  return [
    table([
      [
        "kernel",
        "calls",
        "default",
        "tuned",
        "gain",
        "GFLOP/s",
        "of peak",
        "tried",
        "dropped",
        "rank",
      ],
      ...calls.map(rowOf),
    ]),
    "",
    ...calls.flatMap(droppedLines),
    `peak           ${peak}, ${
      (machine.bytesPerSecond / 1e9).toFixed(1)
    } GB/s (${machine.processor}, ${machine.threads} threads)`,
    `whole step     ${report.stepGain.toFixed(3)}x by these figures, ${
      percent(report.measuredShare)
    } of it measured, the rest as predicted`,
    `prediction     ${
      correlation === null
        ? "no candidates were timed"
        : `rank correlation ${
          correlation.toFixed(2)
        } with measured times, over all candidates timed`
    }`,
    ...(waiting === 0 ? [] : [`waiting        ${waiting} kernels; the same command goes on there`]),
    `kept in        ${file}`,
  ].join("\n");
}

function rowOf(one: TunedCall): string[] {
  const { measured, search } = one;
  const name = `${one.op} ${one.shape}`;
  const tail = search === undefined ? [one.state, "", ""] : [
    `${search.tried}/${search.candidates}`,
    `${search.dropped.length}`,
    search.rankCorrelation?.toFixed(2) ?? "",
  ];
  if (measured === undefined) return [name, `${one.calls}`, "", "", "", "", "", ...tail];
  return [
    name,
    `${one.calls}`,
    milliseconds(measured.defaultSeconds),
    milliseconds(measured.seconds),
    `${measured.gain.toFixed(3)}x`,
    (measured.flopsPerSecond / 1e9).toFixed(1),
    percent(measured.peakShare),
    ...tail,
  ];
}

function milliseconds(seconds: number): string {
  return seconds < 1 ? `${(1000 * seconds).toFixed(3)} ms` : duration(seconds);
}

/** A line for each candidate that was not timed to the end. */
function droppedLines({ op, shape, search }: TunedCall): string[] {
  const dropped = search?.dropped ?? [];
  return dropped.map(({ values, why }) =>
    `dropped: ${op} ${shape} ${JSON.stringify(values)}: ${why}`
  );
}
