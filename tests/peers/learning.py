"""Fine-tunes a llama with PyTorch's PaCA on the batches, columns and rates of an exchange file; prints losses as one JSON line.

usage: learning.py MODEL_DIR EXCHANGE.safetensors [--so-far]     written by learning.ts; --so-far prints what is kept, and trains nothing

Beside the exchange file it keeps its state every few steps, and goes on from there when it is started again.
"""
import json, os, sys, time
import torch
import torch.nn.functional as F
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from step_time import PacaLinear

folder, exchange, *so_far = sys.argv[1:]
state = exchange + ".state"
if so_far == ["--so-far"]:
    kept = torch.load(state, weights_only=True)
    print(json.dumps({name: kept[name] for name in ("train", "validation", "seconds")}))
    sys.exit()
with safe_open(exchange, "pt") as file:
    given = {name: file.get_tensor(name).long() for name in file.keys()}
    about = file.metadata()
rates, measured = json.loads(about["rates"]), json.loads(about["measured"])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
model.requires_grad_(False)
adapted = []
for name, module in list(model.named_modules()):
    index = given.get(name + ".index")
    if index is None:
        continue
    layer = PacaLinear(module, len(index), float(about["scale"]))
    layer.index.copy_(index)
    layer.columns.copy_(layer.weight[:, index])
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
    adapted.append(layer)
assert len(adapted) == sum(name.endswith(".index") for name in given), "a module of the exchange is not in the model"
trained = [layer.delta for layer in adapted]
optimizer = torch.optim.AdamW(trained, lr=1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)


def loss_of(which, i):
    """Mean over supervised positions, and how many: documents of a row are apart, positions restart with each."""
    ids, labels, segments = (given[f"{which}.{field}"][i] for field in ("inputIds", "labels", "segmentIds"))
    rows, length = ids.shape
    place = torch.arange(length)
    begins = torch.ones_like(ids, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    start = torch.where(begins, place, 0).cummax(1).values
    apart = (segments[:, None, :] == segments[:, :, None]) & (place[None, :] <= place[:, None])
    mask = torch.zeros(rows, 1, length, length).masked_fill(~apart[:, None], torch.finfo(torch.float32).min)
    hidden = model.model(input_ids=ids, attention_mask=mask, position_ids=place - start).last_hidden_state
    predicted = (labels[:, 1:] != -100) & ~begins[:, 1:] & (segments[:, 1:] >= 0)
    logits = model.lm_head(hidden[:, :-1][predicted])
    return F.cross_entropy(logits, labels[:, 1:][predicted]), int(predicted.sum())


@torch.no_grad()
def validate():
    losses = [loss_of("validation", i) for i in range(len(given["validation.inputIds"]))]
    return sum(loss.item() * count for loss, count in losses) / sum(count for _, count in losses)


train, validation, seconds = [], [], 0.0


def keep():
    torch.save({"train": train, "validation": validation, "seconds": seconds, "optimizer": optimizer.state_dict(),
                "trained": [delta.data for delta in trained]}, state + ".part")
    os.replace(state + ".part", state)


if os.path.exists(state):
    kept = torch.load(state, weights_only=True)
    train, validation, seconds = kept["train"], kept["validation"], kept["seconds"]
    optimizer.load_state_dict(kept["optimizer"])
    for layer, delta in zip(adapted, kept["trained"]):
        layer.delta.data.copy_(delta)
        layer.refresh()
for step in range(len(train), len(rates) + 1):
    if step % 10 == 0 and step > 0:
        keep()
    if step in measured and len(validation) <= measured.index(step):
        validation.append({"step": step, "loss": validate()})
        print(f"PyTorch: validation loss {validation[-1]['loss']:.4f} after {step} steps", file=sys.stderr, flush=True)
    if step == len(rates):
        break
    began = time.perf_counter()
    optimizer.param_groups[0]["lr"] = rates[step]
    loss, _ = loss_of("train", step)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    for layer in adapted:
        layer.refresh()
    seconds += time.perf_counter() - began
    train.append(loss.item())
print(json.dumps({"train": train, "validation": validation, "seconds": seconds}))
