// A llama of under a million parameters, written out with pacac's builders.
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
  type Value,
} from "@pacac/pacac";

const vocab = 768;
const width = 128;
const heads = { heads: 4, kvHeads: 2, headDim: 32 };

function block(x: Value): Value {
  const h = rmsNorm("input_layernorm", x, { eps: 1e-5 });
  const q = rope(linear("self_attn.q_proj", h, { out: 128 }), { headDim: 32 });
  const k = rope(linear("self_attn.k_proj", h, { out: 64 }), { headDim: 32 });
  const v = linear("self_attn.v_proj", h, { out: 64 });
  const mixed = linear("self_attn.o_proj", attention({ q, k, v }, heads), { out: width });
  const attended = add(x, mixed);
  const m = rmsNorm("post_attention_layernorm", attended, { eps: 1e-5 });
  const gate = linear("mlp.gate_proj", m, { out: 352 });
  const up = linear("mlp.up_proj", m, { out: 352 });
  return add(attended, linear("mlp.down_proj", swiGlu(gate, up), { out: width }));
}

/** 4 blocks, 4 heads of 32 over 2 of keys and values, a head tied to the embedding. */
export const tiny = architecture((tokens) => {
  const embedded = embed("model.embed_tokens", tokens, { vocab, width });
  const hidden = repeat("model.layers", embedded, { count: 4, body: block });
  return lmHead("model.embed_tokens", rmsNorm("model.norm", hidden, { eps: 1e-5 }), { vocab });
});
