/**
 * `emulate`: runs a kernel of a .cu or .ptx file in the emulator, with buffers as the command line says, and prints what is wrong
 * with it and what it costs in memory traffic.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import {
  type CounterReport,
  Device,
  findingText,
  type KernelResources,
  type LaunchReport,
  parse,
  parsePtxas,
} from "../emulator/mod.ts";
import { PacacError } from "../errors.ts";
import { fileSize } from "../formats/mod.ts";
import { userPath } from "../knobs.ts";
import { option } from "./flags.ts";
import { argumentsOf, describeResults, type Output } from "./kernel_arguments.ts";
import { duration, grouped, heading, percent, print, table } from "./print.ts";
import { Exit } from "./run.ts";

/** The command. */
export function emulateCommand(): PlainCommand {
  return new Command()
    .argument("<file>", "Kernels, a .cu or .ptx file; nvcc is needed for .cu")
    .argument("[kernel]", "Which kernel; the only one if it is not said")
    .addOption(option.grid())
    .addOption(option.block())
    .addOption(option.sharedBytes())
    .addOption(option.arg())
    .addOption(option.seed().default(1))
    .addOption(option.arch())
    .addOption(option.define())
    .addOption(option.plain())
    .addOption(option.json())
    .action(async (file, kernel, flags) => {
      const path = userPath(file);
      const module = moduleOf(await ptxOf(path, flags), path);
      const entry = kernel ?? module.entries[0] ?? "";
      const device = new Device();
      const { args, outputs } = argumentsOf(flags.arg, {
        device,
        seed: flags.seed,
        parameters: module.parameters(entry),
      });
      const { grid, block, shared } = flags;
      const check = flags.plain !== true;
      const report = module.launch(entry, { device, grid, block, shared, args, check });
      const resources = path.endsWith(".cu") ? await resourcesOf(path, flags) : [];
      const own = resources.find((one) => one.entry === entry);
      if (flags.json === true) {
        const results = describeResults(device, outputs);
        print(
          JSON.stringify({ entry, ...report, resources: own, ptx: module.counts(entry), results }),
        );
      } else printReport(report, { entry, check, own, device, outputs });
      if (report.findings.length > 0) throw new Exit(1);
    }) as unknown as PlainCommand;
}

interface CompilerFlags {
  readonly arch: string;
  readonly define: readonly string[];
}

/** Errors name the file that was given; what nvcc made of a .cu file has no name. */
function moduleOf(text: string, path: string): ReturnType<typeof parse> {
  const place = path.endsWith(".cu") ? {} : { file: path };
  const remedy = "give PTX text, or a .cu file";
  try {
    const module = parse(text);
    if (module.entries.length > 0) return module;
  } catch (error) {
    if (!(error instanceof PacacError)) throw error;
    throw new PacacError(error.code, error.message, {
      place: { ...error.place, ...place },
      remedy: error.remedy === "" ? remedy : error.remedy,
      cause: error,
    });
  }
  throw new PacacError("ptx-invalid", "Cannot run PTX: it has no kernel", { place, remedy });
}

/** PTX of a file: its text, or what nvcc makes of it. */
async function ptxOf(path: string, flags: CompilerFlags): Promise<string> {
  if (path.endsWith(".cu")) {
    return new TextDecoder().decode(
      (await nvcc(path, ["-ptx", "-lineinfo", "-o", "-"], flags)).stdout,
    );
  }
  // A device or a pipe has no end, or none that is known.
  if (fileSize(path) === undefined) {
    throw new PacacError("io", "Cannot read the kernels: there is no such file", {
      place: { file: path },
    });
  }
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new PacacError("io", "Cannot read the kernels", { place: { file: path }, cause });
  }
}

async function resourcesOf(path: string, flags: CompilerFlags): Promise<KernelResources[]> {
  const { stderr } = await nvcc(path, ["-cubin", "-Xptxas", "-v", "-o", "/dev/null"], flags);
  return parsePtxas(new TextDecoder().decode(stderr));
}

async function nvcc(
  path: string,
  args: readonly string[],
  { arch, define }: CompilerFlags,
): Promise<Deno.CommandOutput> {
  const macros = define.map((name) => `-D${name}`);
  try {
    const output = await new Deno.Command("nvcc", {
      args: [...args, `-arch=${arch}`, "-std=c++17", ...macros, path],
    }).output();
    if (output.success) return output;
    throw new PacacError("build-failed", "Cannot compile the kernels: nvcc refuses them", {
      place: { file: path },
      remedy: new TextDecoder().decode(output.stderr).trim(),
    });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new PacacError("toolchain-missing", "Cannot compile the kernels: there is no nvcc", {
      remedy: "install the CUDA toolkit, or give a .ptx file",
      cause,
    });
  }
}

interface Shown {
  readonly entry: string;
  readonly check: boolean;
  readonly own: KernelResources | undefined;
  readonly device: Device;
  readonly outputs: readonly Output[];
}

function printReport(report: LaunchReport, { entry, check, own, device, outputs }: Shown): void {
  const { findings, counters, seconds } = report;
  for (const finding of findings) print(`${findingText(finding)}\n`);
  const verdict = check ? `${findings.length} findings` : "not checked";
  print(heading(`${entry}: ${verdict}, emulated in ${duration(seconds)}`));
  print(table(summaryRows(counters, check)));
  if (own !== undefined) {
    const { arch, registers, spillStores, spillLoads, shared } = own;
    const spills = `${spillStores + spillLoads} bytes spilled`;
    print(`${arch}: ${registers} registers, ${spills}, ${shared} bytes of static shared memory`);
  }
  if (check) printPlaces(counters);
  for (const line of describeResults(device, outputs)) print(line.text);
}

function summaryRows(counters: CounterReport, check: boolean): string[][] {
  const rows = [
    ["warp instructions", grouped(counters.warpInstructions)],
    ["mma.sync", grouped(counters.mma)],
    ["warps at barriers", grouped(counters.barriers)],
  ];
  if (!check) return rows;
  const { shared, globalReads, globalWrites } = counters;
  const traffic = ({ bytes, efficiency }: typeof globalReads) =>
    `${grouped(bytes)} bytes, ${percent(efficiency)} of sectors`;
  return [
    ...rows,
    [
      "bank conflict factor",
      `${shared.factor.toFixed(2)} (${grouped(shared.wavefronts)} wavefronts)`,
    ],
    ["global reads", traffic(globalReads)],
    ["global writes", traffic(globalWrites)],
  ];
}

/** Lines whose traffic is not what it could be. */
function printPlaces({ lines }: CounterReport): void {
  const rows = lines.flatMap(({ file, line, shared, global }) => {
    const wasteful = (shared?.factor ?? 1) > 1 || (global?.efficiency ?? 1) < 0.999;
    if (!wasteful) return [];
    return [[
      `${file.split("/").at(-1)}:${line}`,
      shared === undefined ? "" : `${shared.factor.toFixed(2)} x banks`,
      global === undefined ? "" : `${percent(global.efficiency)} of sectors`,
    ]];
  });
  if (rows.length > 0) print(`\n${heading("Lines with wasted traffic")}\n${table(rows)}`);
}
