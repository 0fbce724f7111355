"""What a rehearsal has in place of PyTorch, its peer, and programs with faults."""

TORCH = '''"""Stands in for PyTorch in a rehearsal."""
__version__ = "rehearsal"


class version:
    cuda = "none"


class cuda:
    is_available = staticmethod(lambda: True)
    empty_cache = staticmethod(lambda: None)


class backends:
    class cudnn:
        version = staticmethod(lambda: 0)


class _dynamo:
    reset = staticmethod(lambda: None)
'''

BENCH_TORCH = '''"""Stands in for PyTorch's benchmark in a rehearsal: its options, its lines, no work."""
import argparse
import json
import os

import psanet_torch as ref


def line(name, **more):
    print(json.dumps({"name": name, "median_ms": 2.0, "min_ms": 1.0, "peak_mem_mb": 10.0, **more}), flush=True)


def main():
    if "LD_LIBRARY_PATH" in os.environ:
        raise RuntimeError("PyTorch gets an environment that is not its own")
    p = argparse.ArgumentParser()
    p.add_argument("--mode")
    for option in ("--crop", "--batch", "--psa-size", "--psa-batch", "--mask"):
        p.add_argument(option, type=int, default=0)
    o, more = p.parse_known_args()
    if o.mode == "psa":
        for kind in ("psa_core", "psa_full"):
            for branch in ("collect", "distribute"):
                for passes in ("fwd", "fwd+bwd"):
                    line(kind, branch=branch, passes=passes, batch=o.psa_batch, size=o.psa_size, mask=o.mask)
    else:
        if "--cuda-graph" in more and o.mode == "train":
            raise RuntimeError("a variant that fails is one line")
        line({"train": "train", "infer": "infer"}[o.mode], batch=o.batch, crop=o.crop)
'''

TORCH_STEP = '''"""Stands in for the comparison of one step in a rehearsal: calls psanet-run as it does."""
import argparse
import json
import subprocess
import sys

p = argparse.ArgumentParser()
for option in ("--psanet-run", "--reference", "--device", "--crop", "--batch", "--model", "--output"):
    p.add_argument(option, required=True)
o = p.parse_args()
told = subprocess.run([o.psanet_run, "--version"], stdout=subprocess.PIPE).stdout.decode()
print("| quantity | passed |\\n| psanet-run " + told.strip() + " | yes |")
with open(o.output, "w") as f:
    json.dump({"passed": told != "", "rows": []}, f)
sys.exit(0 if told else 1)
'''

CRASH = "#!/bin/sh\nkill -s SEGV $$\n"
WRONG = "#!/bin/sh\necho no reason at all\nexit 3\n"
NONSENSE = '''#!/bin/sh
for a in "$@"; do case "$a" in --benchmark_out=*) echo '{"benchmarks": [{"name' >"${a#--benchmark_out=}";; esac; done
'''
# Lists its cases; each of them stands still, with a child and with one that has left the process group.
HANG = '''#!/bin/sh
case "$*" in *--list-test-names-only*) echo "softmax: a case, with a comma"; echo another; exit 0;; esac
trap '' TERM
sleep {seconds} &
setsid sleep {seconds} &
wait
sleep {seconds}
'''
# Takes what room there is, outside its own folder, and leaves it taken.
FULL = '''#!/bin/sh
cat /dev/zero >"{file}" || cat /dev/zero >>"{file}"
exit 1
'''
