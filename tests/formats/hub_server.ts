/**
 * A model hub on this machine for tests: lists and serves files as the real one does, misbehaves on request, and writes
 * down what it was asked.
 * @module
 */
import { createHash } from "node:crypto";

/** The commit that main is at. */
export const COMMIT = "c0ffee".padEnd(40, "0");

/** A request that came. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** How the hub misbehaves. */
export interface Whims {
  /** Bytes of each file after which the connection breaks, by turn; sent whole when the list is used up. */
  cuts: number[];
  /** Whether Range is not understood. */
  noRanges?: boolean;
  /** A status for everything. */
  status?: number;
  /** Statuses for the next requests, by turn. */
  hiccups: number[];
  /** Changes the list of files. */
  list?: (siblings: Record<string, unknown>[]) => unknown;
  /** Bytes that are sent in place of a file's. */
  forge?: Uint8Array;
  /** Where large files are; the hub itself answers a redirect there. */
  storage?: string;
  /** Sent as tag of large files in place of their hash. */
  tag?: string;
}

/** A hub with files. Names that end in .safetensors are large. */
export class LoopbackHub implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly whims: Whims = { cuts: [], hiccups: [] };
  readonly #files: Readonly<Record<string, Uint8Array>>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param files Content by name */
  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#files = files;
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen() {},
      },
      (request) => this.#answer(request),
    );
  }

  get address(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Paths of the requests, without those of the list. */
  paths(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname);
    const body = new Uint8Array(await request.arrayBuffer());
    this.asked.push({ method: request.method, path, headers: request.headers, body });
    const status = this.whims.status ?? this.whims.hiccups.shift();
    if (status !== undefined) return new Response("no", { status });
    if (request.method !== "GET") return this.#written(path, body);
    if (/^\/api\/(?:model|dataset)s\/org\/name\/revision\//.test(path)) return this.#list();
    const name = path.match(/^\/(?:(?:datasets\/)?org\/name\/resolve\/[0-9a-f]{40}|storage)\/(.+)$/)
      ?.[1];
    const bytes = name === undefined ? undefined : this.#files[name];
    if (name === undefined || bytes === undefined) return new Response("none", { status: 404 });
    return this.#file(name, bytes, request.headers);
  }

  #list(): Response {
    const siblings = Object.entries(this.#files).map(([rfilename, bytes]) => {
      const large = rfilename.endsWith(".safetensors");
      const lfs = { sha256: sha256(bytes), size: bytes.length, pointerSize: 130 };
      return {
        rfilename,
        size: bytes.length,
        blobId: gitHash(bytes),
        ...large ? { lfs } : {},
      };
    });
    return Response.json({ sha: COMMIT, siblings: this.whims.list?.(siblings) ?? siblings });
  }

  #file(name: string, bytes: Uint8Array, asked: Headers): Response {
    const { cuts, forge, noRanges, storage } = this.whims;
    const large = name.endsWith(".safetensors");
    const headers = new Headers({ "x-repo-commit": COMMIT });
    headers.set(large ? "x-linked-etag" : "etag", `"${this.#tag(large, bytes)}"`);
    if (large && storage !== undefined) {
      headers.set("location", `${storage}/storage/${name}`);
      return new Response(null, { status: 302, headers });
    }
    const from = Number(asked.get("range")?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    const ranged = from > 0 && noRanges !== true;
    const sent = (forge ?? bytes).slice(ranged ? from : 0);
    if (ranged) headers.set("content-range", `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
    headers.set("content-length", `${sent.length}`);
    const cut = large ? cuts.shift() : undefined;
    const body = cut === undefined ? sent : broken(sent.slice(0, cut));
    return new Response(body, { status: ranged ? 206 : 200, headers });
  }

  #tag(large: boolean, bytes: Uint8Array): string {
    if (large && this.whims.tag !== undefined) return this.whims.tag;
    return large ? sha256(bytes) : gitHash(bytes);
  }

  #written(path: string, body: Uint8Array): Response {
    const json = () => JSON.parse(new TextDecoder().decode(body));
    if (path === "/api/repos/create") return new Response("there", { status: 409 });
    if (path === "/api/models/org/name/preupload/main") {
      const files = json().files.map(({ path }: { path: string }) => ({
        path,
        uploadMode: path.endsWith(".safetensors") ? "lfs" : "regular",
      }));
      return Response.json({ files });
    }
    if (path === "/org/name.git/info/lfs/objects/batch") {
      const href = `${this.whims.storage ?? this.address}/put`;
      const actions = {
        upload: { href, header: { "x-signed": "yes" } },
        verify: { href: `${this.address}/verify` },
      };
      const objects = json().objects.map((object: object) => ({ ...object, actions }));
      return Response.json({ objects });
    }
    if (path === "/put" || path === "/verify") return new Response("ok");
    if (path !== "/api/models/org/name/commit/main") return new Response("none", { status: 404 });
    return Response.json({ commitOid: COMMIT, commitUrl: `${this.address}/commit`, ok: true });
  }
}

/** A body that breaks after its bytes. */
function broken(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (!sent && bytes.length > 0) controller.enqueue(bytes);
      else {
        await new Promise((resolve) => setTimeout(resolve, 30));
        controller.close();
      }
      sent = true;
    },
  });
}

/**
 * SHA-256 in hexadecimal.
 * @param bytes The bytes
 */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * git's hash of a file.
 * @param bytes The bytes
 */
export function gitHash(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
