/**
 * Which of the programs for several instruction sets is loaded.
 * @module
 */
import { equal, throws } from "node:assert/strict";
import { chooseVariant } from "../../src/train/variants.ts";

const X86 = ["amx_bf16", "avx512_bf16", "avx512", "avx2", "plain"] as const;

Deno.test("chooseVariant() takes the best that both have", () => {
  equal(chooseVariant(X86, X86), "amx_bf16");
  equal(chooseVariant(X86, ["avx512_bf16", "avx512", "avx2", "plain"]), "avx512_bf16");
  equal(chooseVariant(X86, ["avx2", "plain"]), "avx2");
  equal(chooseVariant(X86, ["plain"]), "plain");
  equal(chooseVariant(["avx512", "plain"], ["avx2", "plain"]), "plain");
});

Deno.test("chooseVariant() takes what is wanted, where both have it", () => {
  equal(chooseVariant(X86, ["avx2", "plain"], "plain"), "plain");
  throws(() => chooseVariant(X86, ["avx2", "plain"], "avx512"), {
    code: "load-failed",
    message: "Cannot load the program: this processor does not have avx512",
    remedy: "take one of avx2, plain, or the best of them by naming none",
  });
  throws(() => chooseVariant(["plain"], ["avx2", "plain"], "avx2"), {
    message: "Cannot load the program: it is built for plain, not for avx2",
  });
});

Deno.test("chooseVariant() says where a program was built for other processors", () => {
  throws(() => chooseVariant(["neon"], ["avx2", "plain"]), {
    code: "load-failed",
    message: "Cannot load the program: it is built for neon, this processor has avx2, plain",
    remedy: "compile the model description on this machine",
  });
});
