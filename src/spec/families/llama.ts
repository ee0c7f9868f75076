/**
 * The llama family (Touvron et al. 2023), with grouped heads, tied or own head, optional biases; mistral and qwen2 share it.
 * @module
 */
import {
  add,
  architecture,
  attention,
  embed,
  linear,
  lmHead,
  repeat,
  rmsNorm,
  rope,
  swiGlu,
} from "../architecture.ts";
import type { Architecture, RopeScalingSpec } from "../description.ts";

/** What a llama's config.json says. */
export interface LlamaConfig {
  /** Width of the hidden states. */
  readonly hiddenSize: number;
  /** Width inside the MLP. */
  readonly intermediateSize: number;
  /** Blocks. */
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; query heads share them in groups. */
  readonly kvHeads: number;
  /** Features of a head. */
  readonly headDim: number;
  /** Token ids, and rows of the embedding. */
  readonly vocabSize: number;
  /** What is added to the mean square under the norms' root. */
  readonly rmsNormEps: number;
  /** Base of the rotary frequencies. */
  readonly ropeTheta: number;
  /** How the rotary frequencies are stretched. */
  readonly ropeScaling: RopeScalingSpec;
  /** Whether the logits are made with the embedding's weight. */
  readonly tieWordEmbeddings: boolean;
  /** Biases of q, k, v. */
  readonly attentionBias: boolean;
  /** Bias of o; the same as attentionBias in llama, never in qwen2. */
  readonly outputBias: boolean;
  /** Biases of gate, up and down. */
  readonly mlpBias: boolean;
}

/**
 * A llama written out.
 * @param c Its sizes
 */
export function llama(c: LlamaConfig): Architecture {
  const eps = c.rmsNormEps;
  const rotary = { headDim: c.headDim, theta: c.ropeTheta, scaling: c.ropeScaling };
  return architecture((tokens) => {
    const embedding = embed("model.embed_tokens", tokens, {
      vocab: c.vocabSize,
      width: c.hiddenSize,
    });
    const block = (x: ReturnType<typeof embed>) => {
      const h = rmsNorm("input_layernorm", x, { eps });
      const project = (name: string, heads: number) =>
        linear(`self_attn.${name}`, h, { out: heads * c.headDim, bias: c.attentionBias });
      const q = rope(project("q_proj", c.heads), rotary);
      const k = rope(project("k_proj", c.kvHeads), rotary);
      const v = project("v_proj", c.kvHeads);
      const mixed = attention({ q, k, v }, {
        heads: c.heads,
        kvHeads: c.kvHeads,
        headDim: c.headDim,
      });
      const out = linear("self_attn.o_proj", mixed, { out: c.hiddenSize, bias: c.outputBias });
      const attended = add(x, out);
      const m = rmsNorm("post_attention_layernorm", attended, { eps });
      const widen = (name: string) =>
        linear(`mlp.${name}`, m, { out: c.intermediateSize, bias: c.mlpBias });
      const gated = swiGlu(widen("gate_proj"), widen("up_proj"));
      return add(attended, linear("mlp.down_proj", gated, { out: c.hiddenSize, bias: c.mlpBias }));
    };
    const hidden = repeat("model.layers", embedding, { count: c.layers, body: block });
    const head = c.tieWordEmbeddings ? "model.embed_tokens" : "lm_head";
    return lmHead(head, rmsNorm("model.norm", hidden, { eps }), { vocab: c.vocabSize });
  });
}
