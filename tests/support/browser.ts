/**
 * A browser without a window, over its DevTools protocol: enough to load a page, ask it things and look at it.
 * @module
 */
import { pathToFileURL } from "node:url";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The browser that is installed; nothing where there is none. */
export function findBrowser(): string | undefined {
  return NAMES.find((name) => {
    try {
      return new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" })
        .outputSync().success;
    } catch {
      return false;
    }
  });
}

/** How a page is shown. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  readonly print?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** A page in a browser of its own; what it logs and asks the network for is kept. */
export class BrowserPage implements AsyncDisposable {
  /** Errors, warnings and exceptions, a text each. */
  readonly problems: string[] = [];
  /** Addresses that were asked for. */
  readonly requests: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: Fields) => void>();
  readonly #events = new Map<string, () => void>();
  #session = "";
  #sent = 0;

  private constructor(
    { child, profile, socket }: {
      readonly child: Deno.ChildProcess;
      readonly profile: string;
      readonly socket: WebSocket;
    },
  ) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)));
  }

  /**
   * Starts a browser.
   * @param browser Its program
   */
  static async open(browser: string): Promise<BrowserPage> {
    const profile = Deno.makeTempDirSync({ prefix: "pacac_browser_" });
    const child = new Deno.Command(browser, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const socket = new WebSocket(await addressIn(child.stderr));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("the browser does not answer"));
    });
    const page = new BrowserPage({ child, profile, socket });
    const { targetId } = await page.#call("Target.createTarget", { url: "about:blank" });
    const attached = await page.#call("Target.attachToTarget", { targetId, flatten: true });
    page.#session = String(attached["sessionId"]);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) {
      await page.#call(`${domain}.enable`);
    }
    return page;
  }

  /**
   * Shows a file.
   * @param file Its path
   * @param view How
   */
  async show(file: string, view: View): Promise<void> {
    await this.view(view);
    const loaded = new Promise<void>((resolve) => this.#events.set("Page.loadEventFired", resolve));
    await this.#call("Page.navigate", { url: pathToFileURL(file).href });
    await loaded;
    await this.settle();
  }

  /**
   * Changes how the page is shown.
   * @param view How
   */
  async view({ width, height, dark = false, print = false }: View): Promise<void> {
    const mobile = width < 600;
    const metrics = { width, height, deviceScaleFactor: 1, mobile };
    await this.#call("Emulation.setDeviceMetricsOverride", metrics);
    await this.#call("Emulation.setEmulatedMedia", {
      media: print ? "print" : "screen",
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    if (this.requests.length > 0) await this.settle();
  }

  /** Waits until what was changed is drawn. */
  async settle(): Promise<void> {
    await this.ask("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))");
  }

  /**
   * The value of an expression in the page, awaited.
   * @param expression JavaScript
   */
  async ask(expression: string): Promise<unknown> {
    const answer = await this.#call("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    const { exceptionDetails, result } = answer;
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return typeof result === "object" && result !== null && "value" in result
      ? result.value
      : undefined;
  }

  /** The whole page as PNG. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.#call("Page.captureScreenshot", { captureBeyondViewport: false });
    return Uint8Array.from(atob(String(data)), (character) => character.charCodeAt(0));
  }

  /** The page as it is printed, PDF. */
  async printed(): Promise<Uint8Array> {
    const { data } = await this.#call("Page.printToPDF", { printBackground: false });
    return Uint8Array.from(atob(String(data)), (character) => character.charCodeAt(0));
  }

  #call(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#sent;
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  #take(message: {
    readonly id?: number;
    readonly method?: string;
    readonly params?: { readonly request?: { readonly url: string } };
    readonly result?: Fields;
    readonly error?: unknown;
  }): void {
    const { id, method = "", params, result, error } = message;
    if (id !== undefined) {
      if (error !== undefined) this.problems.push(JSON.stringify(error));
      this.#waiting.get(id)?.(result ?? {});
      this.#waiting.delete(id);
      return;
    }
    if (method === "Network.requestWillBeSent") this.requests.push(params?.request?.url ?? "?");
    if (PROBLEMS.includes(method)) this.problems.push(`${method}: ${JSON.stringify(params)}`);
    this.#events.get(method)?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call("Browser.close");
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await closed;
    await this.#child.status;
    Deno.removeSync(this.#profile, { recursive: true });
  }
}

/** Whatever a page without faults never does. */
const PROBLEMS = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];

/** The browser says on standard error where it listens. */
async function addressIn(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let said = "";
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the browser ended: ${said}`);
    said += value;
    const address = /listening on (ws:\S+)/.exec(said)?.[1];
    if (address === undefined) continue;
    // What it says afterwards must not fill the pipe.
    void (async () => {
      while (!(await reader.read()).done);
    })();
    return address;
  }
}
