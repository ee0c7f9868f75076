"""Times matrix products in PyTorch (MKL, oneDNN) and NumPy (OpenBLAS). Prints one JSON line: a list of {who, storage, seconds}.

usage: gemm.py M K N --threads T --kind forward|backward --rounds R [--bf16]

forward: y[M,N] = x[M,K] w[N,K]^T; backward: dx[M,N] = dy[M,K] w[K,N]. float32, and with --bf16 oneDNN in bf16 too; seconds are the best
of R rounds in turn.
A library that is not installed has `absent`, the reason, in place of seconds.
"""
import argparse, json, os, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("extents", type=int, nargs=3)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--kind", choices=["forward", "backward"], required=True)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--bf16", action="store_true")
options = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.threads)  # before the libraries are loaded
M, K, N = options.extents


def numpy_rival():
    import numpy

    x = numpy.random.rand(M, K).astype(numpy.float32)
    w = numpy.random.rand(*((N, K) if options.kind == "forward" else (K, N))).astype(numpy.float32)
    y = numpy.empty((M, N), numpy.float32)
    b = w.T if options.kind == "forward" else w
    return lambda: numpy.matmul(x, b, out=y)


def torch_rivals():
    import torch

    torch.set_num_threads(options.threads)
    x = torch.rand(M, K)
    w = torch.rand(N, K) if options.kind == "forward" else torch.rand(K, N)
    y = torch.empty(M, N)
    b = w.t() if options.kind == "forward" else w

    def mkl():
        torch.mm(x, b, out=y)

    linear = w if options.kind == "forward" else w.t().contiguous()

    def onednn():
        torch.ops.mkldnn._linear_pointwise(x, linear, None, "none", [], "")

    narrow = [tensor.to(torch.bfloat16) for tensor in (x, b, y)]

    def bf16():
        torch.mm(narrow[0], narrow[1], out=narrow[2])

    if not torch.backends.mkldnn.is_available():
        return mkl, None, None
    return mkl, onednn, bf16


BF16 = "oneDNN, bf16 (torch.mm)"
rivals, rows = {}, []
try:
    mkl, onednn, bf16 = torch_rivals()
    rivals["MKL (torch.mm)"] = mkl
    if onednn is None:
        rows.append({"who": "oneDNN", "absent": "torch was built without oneDNN"})
    else:
        rivals["oneDNN (torch.ops.mkldnn)"] = onednn
        if options.bf16:
            rivals[BF16] = bf16
except ImportError as error:
    rows += [{"who": who, "absent": str(error)} for who in ("MKL (torch.mm)", "oneDNN")]
try:
    rivals["OpenBLAS (numpy)"] = numpy_rival()
except ImportError as error:
    rows.append({"who": "OpenBLAS (numpy)", "absent": str(error)})

best = {who: float("inf") for who in rivals}
for round in range(options.rounds + 1):
    for who, run in list(rivals.items()):
        begin = time.perf_counter()
        try:
            run()
        except Exception as error:
            rows.append({"who": who, "absent": str(error).splitlines()[0]})
            del rivals[who], best[who]
            continue
        if round > 0:
            best[who] = min(best[who], time.perf_counter() - begin)
rows += [{"who": who, "storage": "bf16" if who == BF16 else "f32", "seconds": best[who]} for who in best]
json.dump(rows, sys.stdout)
