"""Logits of the letters A to D behind MMLU prompts, as transformers computes them in float32, as one JSON line.

usage: mmlu.py MODEL_DIR < prompts.json        prompts: [{"text": ..., "ids": [...]}]; the ids must be what the tokenizer makes of the text
"""
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
before = tokenizer("Answer:").input_ids
letters = []
for letter in "ABCD":
    ids = tokenizer("Answer: " + letter).input_ids
    assert ids[:-1] == before, "a letter is not one token"
    letters.append(ids[-1])
found = []
with torch.no_grad():
    for prompt in json.load(sys.stdin):
        ids = tokenizer(prompt["text"]).input_ids
        assert ids == prompt["ids"], "the tokenizers differ on: " + prompt["text"]
        hidden = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        found.append(model.lm_head(hidden)[letters].tolist())
print(json.dumps(found))
