"""Prints logits of the last position for token ids, as the Hugging Face libraries compute them in float32, as one JSON line.

usage: logits.py MODEL_DIR [--adapter DIR] --ids 1,2,3     with --adapter: loaded by peft
"""
import argparse, json
import torch
from transformers import AutoModelForCausalLM

p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("--adapter")
p.add_argument("--ids", required=True)
a = p.parse_args()
model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
if a.adapter:
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, a.adapter)
model.eval()
with torch.no_grad():
    ids = torch.tensor([[int(i) for i in a.ids.split(",")]])
    print(json.dumps(model(input_ids=ids).logits[0, -1].tolist()))
