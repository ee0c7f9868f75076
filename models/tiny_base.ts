// How models/tiny's weights came about: trained in full from a seed, on Moby Dick and the World Factbook's prose.
import { adamw, cosine, fineTune, full } from "@pacac/pacac";
import { tiny } from "./tiny/architecture.ts";

export default fineTune({
  name: "tiny-base",
  model: tiny,
  folder: "tiny",
  adapt: full({ seed: 1 }),
  train: {
    batch: 16,
    seqLen: 128,
    optimizer: adamw({ learningRate: 3e-3, betas: [0.9, 0.95], weightDecay: 0.05 }),
    schedule: cosine({ warmup: 0.05, floor: 0.05 }),
  },
});
