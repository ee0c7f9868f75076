/**
 * Speaking to a model hub: where it is, who asks, what its refusals mean, and trying again where that helps.
 *
 * The token goes to the hub alone: redirects are followed by hand, and one that leaves the hub's origin loses it.
 * @module
 */
import type { z } from "zod";
import { PacacError } from "../errors.ts";
import type { Environment } from "./hub_cache.ts";

/** What all requests of a task have in common. */
export interface HubOptions {
  /** Environment variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. */
  readonly env: Environment;
  /** Ends the task. */
  readonly signal?: AbortSignal;
  /** Milliseconds before the second try, doubled for each one after; 500 by default. */
  readonly retryDelay?: number;
}

/** A request. */
export interface HubRequest {
  /** What it is for: "list the files of org/name". */
  readonly purpose: string;
  readonly method?: "GET" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** A status of refusal that is as good as success. */
  readonly accepts?: number;
  /** Whether the token goes along; true by default. */
  readonly authorized?: boolean;
}

/** The hub that models come from where HF_ENDPOINT does not name another. */
const DEFAULT_ENDPOINT = "https://huggingface.co";
const MAX_REDIRECTS = 8;
const TRIES = 5;
/** Most bytes of an answer in JSON. */
const MAX_JSON = 1 << 24;
/** Milliseconds without a byte after which a connection counts as dead. */
const PATIENCE = 30_000;

/** A failure that may not happen again. */
class Unreachable extends PacacError {}

/**
 * The error for a hub that cannot be reached or refuses.
 * @param message "Cannot X: state"
 * @param remedy What to do
 * @param cause The error underneath
 */
export function hubFailed(message: string, remedy: string, cause?: unknown): PacacError {
  return new PacacError("hub-failed", message, { remedy, cause });
}

/**
 * The hub's address without a slash at its end.
 * @param env Environment variables
 * @throws {PacacError} `usage` where HF_ENDPOINT is no address
 */
export function hubEndpoint(env: Environment): string {
  const given = env("HF_ENDPOINT");
  const text = given === undefined || given === "" ? DEFAULT_ENDPOINT : given;
  if (/^https?:\/\/[^\s?#]+$/.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  throw new PacacError("usage", `Cannot use HF_ENDPOINT: "${text}" is no address`, {
    remedy: `set it to one such as ${DEFAULT_ENDPOINT}, or unset it`,
  });
}

/**
 * Whether the environment forbids the network.
 * @param env Environment variables
 */
export function isOffline(env: Environment): boolean {
  return /^(?:1|true|yes|on)$/i.test(env("HF_HUB_OFFLINE") ?? "");
}

/**
 * Sends a request and follows redirects. The answer's status is good.
 * @param url Address
 * @param request What is asked
 * @param options Environment, end
 * @returns The last answer, and headers of the first, where the hub says what a file is
 * @throws {PacacError} `hub-failed`
 */
export async function hubFetch(
  url: string,
  request: HubRequest,
  options: HubOptions,
): Promise<{ readonly response: Response; readonly first: Headers }> {
  const origin = new URL(hubEndpoint(options.env)).origin;
  let at = new URL(url);
  let first: Headers | undefined;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await once(at, { origin, request, options });
    first ??= response.headers;
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) {
      await check(response, request, options);
      return { response, first };
    }
    await response.body?.cancel();
    at = redirected(at, location, request);
  }
  throw hubFailed(
    `Cannot ${request.purpose}: more than ${MAX_REDIRECTS} redirects`,
    "check HF_ENDPOINT, or try again later",
  );
}

async function once(
  url: URL,
  { origin, request, options }: {
    readonly origin: string;
    readonly request: HubRequest;
    readonly options: HubOptions;
  },
): Promise<Response> {
  const token = options.env("HF_TOKEN")?.trim() ?? "";
  const headers = new Headers(request.headers);
  headers.set("user-agent", "pacac");
  if (token !== "" && url.origin === origin && request.authorized !== false) {
    headers.set("authorization", `Bearer ${token}`);
  }
  try {
    return await fetch(url, {
      method: request.method ?? "GET",
      headers,
      redirect: "manual",
      signal: options.signal ?? null,
      ...request.body === undefined ? {} : { body: request.body },
    });
  } catch (cause) {
    throw unreachable(request.purpose, url.origin, cause);
  }
}

function redirected(from: URL, location: string, { purpose }: HubRequest): URL {
  const to = URL.canParse(location, from) ? new URL(location, from) : undefined;
  const safe = to?.protocol === "https:" || to?.protocol === "http:" && from.protocol === "http:";
  if (to !== undefined && safe) return to;
  throw hubFailed(
    `Cannot ${purpose}: the hub redirects to ${JSON.stringify(location)}`,
    "check HF_ENDPOINT",
  );
}

/**
 * The error of a connection that failed. The user's own end passes through.
 * @param purpose What it was for
 * @param origin Whom it was to
 * @param cause The error underneath
 */
export function unreachable(purpose: string, origin: string, cause: unknown): unknown {
  if (cause instanceof DOMException && cause.name === "AbortError") return cause;
  if (cause instanceof Deno.errors.NotCapable) {
    return hubFailed(
      `Cannot ${purpose}: this command may not use the network`,
      "run it by its task, deno task download or upload",
      cause,
    );
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  const remedy = "check the network; what was downloaded is kept, the same command goes on there";
  return new Unreachable("hub-failed", `Cannot ${purpose}: ${origin}: ${reason}`, {
    remedy,
    cause,
  });
}

// The hub hides what one may not see: without a token, what is private and what is not there look the same.
async function check(
  response: Response,
  { purpose, accepts }: HubRequest,
  { env }: HubOptions,
): Promise<void> {
  const { status } = response;
  if (response.ok || status === accepts) return;
  await response.body?.cancel();
  const detail = response.headers.get("x-error-message")?.slice(0, 200) ?? "";
  const state = `the hub answers ${status}${detail === "" ? "" : ` (${detail})`}`;
  const message = `Cannot ${purpose}: ${state}`;
  if (status === 401) {
    const remedy = (env("HF_TOKEN") ?? "") === ""
      ? "check the name; if it is private or gated, set HF_TOKEN to an access token"
      : "check the name; if it is right, HF_TOKEN is not valid or may not see it";
    throw hubFailed(message, remedy);
  }
  if (status === 403) {
    throw hubFailed(message, "accept the model's terms on its page, with the account of HF_TOKEN");
  }
  if (status === 404) throw hubFailed(message, "check the name, the revision and the file");
  if (status === 408 || status === 429 || status >= 500) {
    throw new Unreachable("hub-failed", message, { remedy: "try again later" });
  }
  throw hubFailed(message, "check the name, and HF_ENDPOINT if it is set");
}

/**
 * Runs a step again, up to five times, where the network or the hub failed for the moment.
 * @param step What to do
 * @param options First pause, end
 */
export async function withRetries<T>(step: () => Promise<T>, options: HubOptions): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof Unreachable) || attempt === TRIES) throw error;
      await pause((options.retryDelay ?? 500) * 2 ** (attempt - 1), options.signal);
    }
  }
}

/**
 * Waits.
 * @param milliseconds How long
 * @param signal Ends it early
 */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Asks for JSON and checks it.
 * @param url Address
 * @param request What is asked
 * @param given Shape of the answer; environment, end
 */
export function hubJson<T>(
  url: string,
  request: HubRequest,
  given: HubOptions & { readonly schema: z.ZodType<T> },
): Promise<T> {
  return withRetries(async () => {
    const { response } = await hubFetch(url, request, given);
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of bodyOf(response, request.purpose, given.signal)) {
      size += chunk.length;
      if (size > MAX_JSON) break;
      parts.push(chunk);
    }
    const bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    const parsed = size > MAX_JSON ? undefined : given.schema.safeParse(jsonOf(bytes));
    if (parsed?.success === true) return parsed.data;
    const state = parsed === undefined ? `more than ${MAX_JSON} bytes` : "not what a hub answers";
    throw hubFailed(`Cannot ${request.purpose}: the answer is ${state}`, "check HF_ENDPOINT");
  }, given);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * An answer's bytes; a connection that breaks or falls silent is an error that another try may mend.
 * @param response The answer
 * @param purpose What it is for
 * @param signal Ends it
 */
export async function* bodyOf(
  response: Response,
  purpose: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const origin = new URL(response.url).origin;
  let done = false;
  try {
    while (true) {
      const chunk = await patient(reader);
      done = chunk.done;
      if (chunk.done) return;
      yield chunk.value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof PacacError ? cause : unreachable(purpose, origin, cause);
  } finally {
    if (!done) await reader.cancel().catch(() => {});
  }
}

async function patient(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  const { promise: silence, reject } = Promise.withResolvers<never>();
  const fail = () => reject(new Error(`silent for ${PATIENCE / 1000} s`));
  const timer = setTimeout(fail, PATIENCE);
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
