/**
 * Finds the C++ compiler and pacac's headers.
 * @module
 */
import { PacacError } from "../errors.ts";
import { environment } from "../knobs.ts";

/** A compiler that works. */
export interface Toolchain {
  /** Whether it is a C++ compiler, or NVIDIA's, which calls one. */
  readonly kind: "c++" | "nvcc";
  /** The command. */
  readonly compiler: string;
  /** First line of what it says of its version. */
  readonly version: string;
  /** Where it makes code for: `x86_64-linux-gnu`. */
  readonly machine: string;
}

/** Folder of pacac's own headers. */
export const NATIVE: string = decodeURIComponent(
  new URL("../../native", import.meta.url).pathname,
);

const MODULES = decodeURIComponent(new URL("../../node_modules", import.meta.url).pathname);

/** Folders of headers that are not pacac's own; warnings about them help nobody. */
export const SYSTEM_INCLUDES: readonly string[] = [
  `${MODULES}/node-addon-api`,
  `${MODULES}/node-api-headers/include`,
];

let found: Toolchain | undefined;

/**
 * The compiler: $CXX where it is set, else the first of g++, clang++, c++.
 * @throws {PacacError} toolchain-missing
 */
export function findToolchain(): Toolchain {
  const wanted = environment("CXX");
  const candidates = wanted === undefined ? ["g++", "clang++", "c++"] : [wanted];
  if (found !== undefined && candidates.includes(found.compiler)) return found;
  for (const compiler of candidates) {
    const version = ask(compiler, "--version");
    const machine = ask(compiler, "-dumpmachine");
    if (version === undefined || machine === undefined) continue;
    found = { kind: "c++", compiler, version, machine };
    return found;
  }
  throw new PacacError(
    "toolchain-missing",
    `Cannot compile C++: ${candidates.join(", ")}: not installed`,
    { remedy: `install one (${installHint()}), or name another with CXX` },
  );
}

let nvcc: Toolchain | undefined;

/** Where the CUDA toolkit lies if nobody says otherwise. */
const CUDA_FOLDER = "/usr/local/cuda";

/**
 * NVIDIA's compiler: that of $CUDA_HOME where it is set, else nvcc on the path, else that of the usual folder.
 * @throws {PacacError} toolchain-missing, also where there is no C++ compiler for it to call
 */
export function findNvcc(): Toolchain {
  const home = environment("CUDA_HOME");
  const candidates = home === undefined
    ? ["nvcc", `${CUDA_FOLDER}/bin/nvcc`]
    : [`${home}/bin/nvcc`];
  if (nvcc !== undefined && candidates.includes(nvcc.compiler)) return nvcc;
  for (const compiler of candidates) {
    const said = askAll(compiler, "--version");
    if (said === undefined) continue;
    const host = findToolchain();
    const version = `${said.trim().split("\n").at(-1)} over ${host.version}`;
    nvcc = { kind: "nvcc", compiler, version, machine: host.machine };
    return nvcc;
  }
  throw new PacacError(
    "toolchain-missing",
    `Cannot compile CUDA: ${candidates.join(", ")}: not installed`,
    {
      remedy: "install NVIDIA's CUDA toolkit, or name its folder with CUDA_HOME; " +
        "`deno task inspect SPEC --target cuda` plans without it",
    },
  );
}

function ask(compiler: string, flag: string): string | undefined {
  return askAll(compiler, flag)?.split("\n")[0].trim();
}

function askAll(compiler: string, flag: string): string | undefined {
  try {
    const { success, stdout } = new Deno.Command(compiler, {
      args: [flag],
      stderr: "null",
      env: { LC_ALL: "C" },
    }).outputSync();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

/** How a compiler is installed here. */
function installHint(): string {
  if (Deno.build.os === "darwin") return "xcode-select --install";
  let release = "";
  try {
    release = Deno.readTextFileSync("/etc/os-release");
  } catch {
    // No such file on some systems; both hints are shown then.
  }
  const debian = "sudo apt install g++";
  const fedora = "sudo dnf install gcc-c++";
  if (/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release)) return debian;
  if (/^ID(_LIKE)?=.*(fedora|rhel|centos)/m.test(release)) return fedora;
  return `Debian and Ubuntu: ${debian}; Fedora: ${fedora}`;
}
