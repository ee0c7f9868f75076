"""Matrix products in PyTorch (MKL, oneDNN) and NumPy (OpenBLAS), one library's at a time on request.

usage: gemm.py --threads T [--bf16]

Prints {"rivals": [...]}, each {who, storage}, or {who, absent} with the reason where it is not installed. Then every line on standard
input is a request, {"who", "kind": "forward" or "backward", "m", "k", "n", "runs"}, answered by {"seconds"}, the best of so many runs
behind one that warms up, or {"absent"} where the library refuses; the end of the input by {}. forward: y[m,n] = x[m,k] w[n,k]^T; backward: dx[m,n] = dy[m,k] w[k,n].
float32, and with --bf16 oneDNN in bf16, too. Only one library's threads are awake at a time: those of another would take its processors.
"""
import argparse, itertools, json, os, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--bf16", action="store_true")
options = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.threads)  # before the libraries are loaded

RESULTS = 6  # written in turn, as a step's are: one alone would stay in a core's cache


def openblas():
    import numpy

    def product(forward, m, k, n):
        x = numpy.random.rand(m, k).astype(numpy.float32)
        w = numpy.random.rand(*((n, k) if forward else (k, n))).astype(numpy.float32)
        results = itertools.cycle([numpy.zeros((m, n), numpy.float32) for _ in range(RESULTS)])
        b = w.T if forward else w
        return lambda: numpy.matmul(x, b, out=next(results))

    return product


def torch_mm(dtype):
    import torch

    torch.set_num_threads(options.threads)
    dtype = getattr(torch, dtype)

    def product(forward, m, k, n):
        x, w = torch.rand(m, k).to(dtype), torch.rand(*((n, k) if forward else (k, n))).to(dtype)
        results = itertools.cycle([torch.zeros(m, n, dtype=dtype) for _ in range(RESULTS)])
        b = w.t() if forward else w
        return lambda: torch.mm(x, b, out=next(results))

    return product


def onednn():
    import torch

    torch.set_num_threads(options.threads)
    if not torch.backends.mkldnn.is_available():
        raise ImportError("torch was built without oneDNN")

    def product(forward, m, k, n):
        x, w = torch.rand(m, k), torch.rand(n, k)
        return lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")

    return product


RIVALS = {
    "MKL (torch.mm)": lambda: torch_mm("float32"),
    "oneDNN (torch.ops.mkldnn)": onednn,
    "OpenBLAS (numpy)": openblas,
}
BF16 = "oneDNN, bf16 (torch.mm)"
if options.bf16:
    RIVALS[BF16] = lambda: torch_mm("bfloat16")


def answer(**values):
    print(json.dumps(values), flush=True)


products, rows = {}, []
for who, make in RIVALS.items():
    try:
        products[who] = make()
        rows.append({"who": who, "storage": "bf16" if who == BF16 else "f32"})
    except ImportError as error:
        rows.append({"who": who, "absent": str(error)})
answer(rivals=rows)
for line in sys.stdin:
    request = json.loads(line)
    try:
        run = products[request["who"]](request["kind"] == "forward", request["m"], request["k"], request["n"])
        best = float("inf")
        for number in range(request["runs"] + 1):
            begin = time.perf_counter()
            run()
            if number > 0:
                best = min(best, time.perf_counter() - begin)
        answer(seconds=best)
    except Exception as error:
        answer(absent=str(error).splitlines()[0])
answer()
