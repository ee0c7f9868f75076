// SmolLM2-135M-Instruct, weights and kept activations in float32, beside smollm2.ts for comparison.
import { adamw, cosine, fineTune, fromPretrained, paca } from "@pacac/pacac";

export default fineTune({
  name: "smollm2-f32",
  model: fromPretrained("HuggingFaceTB/SmolLM2-135M-Instruct"),
  adapt: paca({
    rank: 16,
    alpha: 32,
    targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    seed: 0,
  }),
  train: {
    batch: 4,
    seqLen: 512,
    optimizer: adamw({ learningRate: 1e-3 }),
    schedule: cosine({ warmup: 0.1 }),
    storage: "f32",
  },
});
