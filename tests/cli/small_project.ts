/**
 * A folder with all that a run needs: a model description, a tokenizer, data. Its programs are for the reference target.
 * @module
 */
import { join } from "node:path";
import { inRepository } from "../support/paths.ts";

/** A llama of one block over the embedded model's tokenizer. */
export const SPEC = `import * as p from "@pacac/pacac";
const model = p.llama({
  hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 2, kvHeads: 1, headDim: 8,
  vocabSize: 768, rmsNormEps: 1e-5, ropeTheta: 10000, ropeScaling: { type: "default" },
  tieWordEmbeddings: true, attentionBias: false, outputBias: false, mlpBias: false,
});
export default p.fineTune({
  name: "NAME", model, folder: "model",
  adapt: p.paca({ rank: 4, alpha: 8, targets: ["q_proj", "down_proj"] }),
  train: { batch: 2, seqLen: 32, optimizer: p.adamw({ learningRate: 1e-2 }) },
});
`;

/** A project in a folder of its own, removed when disposed of. */
export class SmallProject implements Disposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "pacac_project_" });
  readonly #name: string;

  /** @param name Of the program: programs of one name share a folder */
  constructor(name: string) {
    this.#name = name;
    Deno.mkdirSync(this.file("model"));
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      Deno.copyFileSync(inRepository(`models/tiny/${file}`), this.file(`model/${file}`));
    }
    this.write("spec.ts", SPEC.replace("NAME", name));
    this.write("data.jsonl", rowsText(12, 0));
    this.write("other.jsonl", rowsText(6, 100));
  }

  /** A path in the project. */
  file(name: string): string {
    return join(this.dir, name);
  }

  /** Writes a file. */
  write(name: string, text: string): void {
    Deno.writeTextFileSync(this.file(name), text);
  }

  /** Variables for a command that is called in this folder. */
  get environment(): Record<string, string> {
    return { INIT_CWD: this.dir, PACAC_CACHE: this.file("cache") };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
    for (const suffix of ["", "-run"]) {
      const generated = inRepository(`generated/${this.#name}-reference${suffix}`);
      try {
        Deno.removeSync(generated, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

function rowsText(count: number, from: number): string {
  const rows = Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      messages: [
        { role: "user", content: `What is ${from + i}?` },
        { role: "assistant", content: `It is ${(from + i) ** 2}.` },
      ],
    }));
  return rows.join("\n");
}
