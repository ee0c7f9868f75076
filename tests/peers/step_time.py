"""Fine-tuning steps of a llama in PyTorch, one at a time on request: PEFT LoRA, or PaCA as lean as PyTorch allows.

usage: step_time.py MODEL_DIR --method lora|paca [--compile] [--dtype float32|bfloat16] [--batch 4] [--seq 512] [--rank R]

Takes one warm-up step and prints {"warmup_seconds"}; then every line on standard input is a step, answered by {"seconds"}; the end of
the input by {"peak_rss_mb"}. compare.ts so takes steps of several programs in turn.

PaCA here: the effective weight is kept in place (r columns copied in once a step, no staleness), forward is one F.linear,
backward keeps x[:, idx] alone and makes dx and a thin dD: the least that autograd can be made to do.
"""
import argparse, json, resource, sys, time
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class PacaFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, delta, index, scale):
        ctx.save_for_backward(x[..., index], weight)
        ctx.scale = scale
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx, dy):
        columns, weight = ctx.saved_tensors
        dx = dy @ weight if ctx.needs_input_grad[0] else None
        flat = dy.flatten(0, -2)
        return dx, None, ctx.scale * (flat.t() @ columns.flatten(0, -2)).float(), None, None


class PacaLinear(torch.nn.Module):
    def __init__(self, base, rank, scale):
        super().__init__()
        self.register_buffer("weight", base.weight.detach())
        self.register_buffer("index", torch.randperm(base.in_features)[:rank].sort().values)
        self.register_buffer("columns", self.weight[:, self.index].float())
        self.delta = torch.nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = scale

    @torch.no_grad()
    def refresh(self):
        self.weight[:, self.index] = (self.columns + self.scale * self.delta).to(self.weight.dtype)

    def forward(self, x):
        return PacaFunction.apply(x, self.weight, self.delta, self.index, self.scale)


def adapt_paca(model, rank, alpha):
    model.requires_grad_(False)
    adapted = []
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if name in TARGETS:
                layer = PacaLinear(child, rank, alpha / rank)
                setattr(parent, name, layer)
                adapted.append(layer)
    return adapted


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--method", choices=["lora", "paca"], default="paca")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--seq", type=int, default=512)
    p.add_argument("--rank", type=int, default=0)
    a = p.parse_args()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype))
    adapted = []
    if a.method == "lora":
        from peft import LoraConfig, get_peft_model
        rank = a.rank or 8
        model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM"))
    else:
        rank = a.rank or 16
        adapted = adapt_paca(model, rank, 32)
    model.train()
    trained = [q for q in model.parameters() if q.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0)
    run = torch.compile(model) if a.compile else model
    ids = torch.randint(0, model.config.vocab_size, (a.batch, a.seq))

    def step():
        start = time.perf_counter()
        loss = run(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        for layer in adapted:
            layer.refresh()
        return time.perf_counter() - start

    def answer(**values):
        print(json.dumps(values), flush=True)

    answer(warmup_seconds=step(), torch=torch.__version__, threads=torch.get_num_threads())
    for _ in sys.stdin:
        answer(seconds=step())
    answer(peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


if __name__ == "__main__":
    main()
