#!/usr/bin/env python3
"""Several measurements of bench_torch.py in one process: importing PyTorch and starting CUDA once.

    torch_bench.py --reference DIR --device cuda --variants '[["eager", ["--mode", "train"]], ...]'

Prints bench_torch.py's lines behind a line `== NAME` each; a variant that fails is a line `!! NAME: why` and
costs itself.
"""

import argparse
import gc
import importlib.util
import json
import os
import sys
import traceback


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--reference", required=True, help="folder of bench_torch.py and psanet_torch.py")
    p.add_argument("--device", default="cuda")
    p.add_argument("--variants", required=True, help="JSON: [[name, [arguments of bench_torch.py]], ...]")
    options = p.parse_args()
    spec = importlib.util.spec_from_file_location("bench_torch", os.path.join(options.reference, "bench_torch.py"))
    bench = importlib.util.module_from_spec(spec)
    sys.path.insert(0, options.reference)
    spec.loader.exec_module(bench)
    sys.modules.update(bench_torch=bench, psanet_torch=bench.ref)  # the compiler looks for functions by their modules' names
    for name, arguments in json.loads(options.variants):
        print(f"== {name}", flush=True)
        sys.argv = ["bench_torch.py", "--device", options.device, *arguments]
        try:
            bench.main()
        except (Exception, SystemExit) as e:
            traceback.print_exc()
            lines = str(e).splitlines() or [""]
            print(f"!! {name}: {type(e).__name__}: {lines[0]}", flush=True)
        gc.collect()
        try:
            import torch
            torch._dynamo.reset()  # what was compiled for the one before
            torch.cuda.empty_cache()
        except Exception:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
