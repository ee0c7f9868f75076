#!/usr/bin/env python3
"""llama.cpp writing text from a GGUF file, one answer at a time on request: the same conversation as decode_time.ts has.

usage: decode_time.py GGUF --tokens 64 --threads 2 --prompt TEXT

Writes an answer and prints {"warmup_seconds"}; then every line on standard input is an answer, answered by {"seconds", "text"}: what
`tokens` tokens take at the speed that llama.cpp itself reports (predicted_per_second: it counts the first token, whose time is the
prompt's, too). The end of the input is answered by {"peak_rss_mb"}. Needs xllamacpp.
"""
import argparse, json, os, resource, sys, time

# llama.cpp's threads spin where they wait for one another. Where its OpenMP is GNU's, it need not: set before the library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# llama.cpp writes to standard output, too; the answers have it for themselves.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import xllamacpp


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--prompt", required=True)
    a = p.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = a.model
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.warmup, params.verbosity = False, -1
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads, cpu.poll = a.threads, 0
    server = xllamacpp.Server(params)
    settings = {"n_predict": a.tokens + 1, "temperature": 0.0, "cache_prompt": False, "ignore_eos": True}

    def answer():
        result = server.handle_completions({"prompt": a.prompt, **settings})
        timings = result["timings"]
        if timings["predicted_n"] != a.tokens + 1:
            raise RuntimeError(f"llama.cpp wrote {timings['predicted_n']} tokens, not {a.tokens + 1}")
        return {"seconds": a.tokens / timings["predicted_per_second"], "text": result["choices"][0]["text"]}

    def say(values):
        print(json.dumps(values), file=ANSWERS, flush=True)

    began = time.perf_counter()
    answer()
    say({"warmup_seconds": time.perf_counter() - began})
    for _ in sys.stdin:
        say(answer())
    say({"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3})


main()
