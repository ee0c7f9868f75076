#!/usr/bin/env python3
"""What llama.cpp makes of a GGUF file and transformers of a model folder: greedy text after each prompt, as JSON.

usage: gguf_text.py REQUESTS     a JSON list of {"gguf": FILE?, "lora": FILE?, "folder": DIR?, "prompts": [...], "tokens": N}
llama.cpp comes from llama_cpp (llama-cpp-python) or, where that is not installed, xllamacpp, which wraps its server.
The answer names that package, or null. {"quantise": FILE, "types": ["Q8_0", ...]} adds gguf's own blocks of the raw float32 in FILE.
"""
import importlib.util
import json
import sys


def installed(name):
    return importlib.util.find_spec(name) is not None


def with_llama_cpp(request):
    from llama_cpp import Llama

    model = Llama(model_path=request["gguf"], lora_path=request.get("lora"), n_ctx=256, n_threads=1, verbose=False)
    return [
        model.create_completion(prompt, max_tokens=request["tokens"], temperature=0)["choices"][0]["text"]
        for prompt in request["prompts"]
    ]


def with_xllamacpp(request):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = request["gguf"]
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 256, 1, 0
    params.cpuparams.n_threads, params.warmup, params.verbosity = 1, False, -1
    if request.get("lora"):
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = request["lora"], 1.0
        params.lora_adapters = [lora]
    server = xllamacpp.Server(params)
    settings = {"n_predict": request["tokens"], "temperature": 0.0, "cache_prompt": False}
    texts = []
    for prompt in request["prompts"]:
        answer = server.handle_completions({"prompt": prompt, **settings})
        texts.append(answer["choices"][0]["text"])
    return texts


def with_transformers(request):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(request["folder"])
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32)
    texts = []
    for prompt in request["prompts"]:
        inputs = tokenizer(prompt, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        ids = model.generate(**inputs, max_new_tokens=request["tokens"], do_sample=False, repetition_penalty=1.0)
        texts.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def blocks(request):
    import numpy
    from gguf import GGMLQuantizationType, quants

    values = numpy.fromfile(request["quantise"], dtype=numpy.float32)
    return {name: quants.quantize(values, GGMLQuantizationType[name]).tobytes().hex() for name in request["types"]}


def main():
    package = next((name for name in ("llama_cpp", "xllamacpp") if installed(name)), None)
    answers = []
    for request in json.loads(sys.argv[1]):
        answer = {"package": package, "gguf": installed("gguf")}
        if "quantise" in request:
            answer["blocks"] = blocks(request)
        if "gguf" in request:
            answer["llama"] = with_llama_cpp(request) if package == "llama_cpp" else with_xllamacpp(request)
        if "folder" in request:
            answer["transformers"] = with_transformers(request)
        answers.append(answer)
    print("\n" + json.dumps(answers))


main()
