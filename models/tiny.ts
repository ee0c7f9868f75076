// The demo: a model that writes like Moby Dick learns to answer questions of geography.
import { adamw, cosine, fineTune, paca } from "@pacac/pacac";
import { tiny } from "./tiny/architecture.ts";

export default fineTune({
  name: "tiny",
  model: tiny,
  folder: "tiny",
  adapt: paca({
    rank: 32,
    alpha: 64,
    targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    seed: 0,
  }),
  train: {
    batch: 16,
    seqLen: 128,
    optimizer: adamw({ learningRate: 4e-3 }),
    schedule: cosine({ warmup: 0.1 }),
  },
});
