"""llama.cpp writing text from a GGUF file, one answer at a time on request, as decode.ts asks for it.

usage: decode_time.py GGUF --tokens 64 [--threads 2]

Prints {"warmup_seconds"} after a first answer; then every line on standard input is an answer, answered by {"seconds"} for `tokens` tokens
behind the first, by llama.cpp's own clock; the end of the input by {"peak_rss_mb"}. Needs xllamacpp.
"""
import argparse, json, os, resource, sys, time

# llama.cpp writes to standard output, too; the answers get it for themselves.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import xllamacpp

PROMPT = "A comet is"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = a.model
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.cpuparams.n_threads, params.verbosity = a.threads, -1
    server = xllamacpp.Server(params)
    settings = {"n_predict": a.tokens + 1, "temperature": 0.0, "cache_prompt": False, "ignore_eos": True, "timings_per_token": True}

    def seconds():
        timings = server.handle_completions({"prompt": PROMPT, **settings})["timings"]
        return timings["predicted_ms"] / 1e3 * a.tokens / timings["predicted_n"]

    def answer(**values):
        print(json.dumps(values), file=ANSWERS, flush=True)

    began = time.perf_counter()
    seconds()
    answer(warmup_seconds=time.perf_counter() - began)
    for _ in sys.stdin:
        answer(seconds=seconds())
    answer(peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


main()
