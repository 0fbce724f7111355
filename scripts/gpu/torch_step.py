#!/usr/bin/env python3
"""One training step of a whole network, compared with PyTorch.

The plain PyTorch PSANet of DIR/psanet_torch.py gets random weights and running statistics; psanet-run gets the same in
a file, the same images and the same labels (some of them to be ignored). Both make an evaluation, the losses, all
gradients and one SGD step. What is right is what PyTorch computes in float64; what rounding may do is seen from
PyTorch's own float32 (or tf32, or autocast to bf16). For every quantity

    |psanet - float64| / |float64|  <=  max(4 |PyTorch - float64| / |float64|, floor)

must hold, |.| being the Euclidean norm of the whole tensor; NaN never passes. Of a gradient or a change of weights
whose norm all but vanishes a millionth of the largest such norm stands in the denominator; of all others, from a
thousandth of the largest on, the limit is at most MOST, so that zeros do not pass where PyTorch is coarse (bf16).

A value that lies nearer to zero than rounding reaches may fall on either side of a ReLU's kink, which changes every
gradient before it by 0.1 to 2 percent, in PyTorch as in psanet. So the batch norms get shifts that keep all values far
from zero (each unit passes for the whole batch, or does not) and what remains is rounding. With --kinks the shifts are
ordinary ones and the floor of gradients and changes of weights is KINKS: a second, coarser test. A near tie in the max
pooling, which may fall either way too, is seen in gradients of layer0 alone: their floor is TIES.

    scripts/gpu/torch_step.py --psanet-run build/release/bin/psanet-run --reference DIR --device cuda --output step.json

Exit code 0: passed, 1: not, 2: wrong input. Needs Python 3.9 and PyTorch 1.13 or later, nothing else.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts: products in a fixed order
warnings.filterwarnings("ignore")

FLOOR = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
TIES, KINKS, MOST = 5e-3, 6e-2, 0.7
FACTOR = 4
RATE, MOMENTUM, DECAY, HEAD_FACTOR, AUX_WEIGHT = 0.01, 0.9, 1e-4, 10, 0.4
CLASSES, IGNORED = 150, 255
VANISHING = ("gradient", "change of weights")  # these may all but vanish
MODELS = {"psanet18": (18, 128), "psanet50": (50, 512), "psanet101": (101, 512)}  # layers, channels of PSA


class WrongInput(Exception):
    pass


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        raise WrongInput(message)


def arguments(words):
    parser = Arguments(description="One training step of a whole network, compared with PyTorch.")
    parser.add_argument("--psanet-run", required=True, metavar="BIN", help="the program")
    parser.add_argument("--reference", required=True, metavar="DIR", help="folder of psanet_torch.py")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--crop", type=int, default=465, help="side of the images, 16 k + 1")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--model", choices=sorted(MODELS), default="psanet50")
    parser.add_argument("--precision", choices=sorted(FLOOR), default="fp32")
    parser.add_argument("--kinks", action="store_true", help="values near zero, too: a coarser test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", required=True, metavar="FILE.json", help="the report")
    parser.add_argument("--mistake", metavar="PARAMETER",
                        help="psanet-run gets this parameter one percent too large: must fail")
    options = parser.parse_args(words)
    if options.crop < 33 or options.crop % 16 != 1:
        raise WrongInput(f"--crop {options.crop}: want 16 k + 1, at least 33")
    if options.batch < 1:
        raise WrongInput(f"--batch {options.batch}: want 1 or more")
    if not os.access(options.psanet_run, os.X_OK):
        raise WrongInput(f"--psanet-run {options.psanet_run}: no such program")
    if not (pathlib.Path(options.reference) / "psanet_torch.py").is_file():
        raise WrongInput(f"--reference {options.reference}: no psanet_torch.py in it")
    if not pathlib.Path(options.output).resolve().parent.is_dir():
        raise WrongInput(f"--output {options.output}: no such folder")
    return options


try:
    OPTIONS = arguments(sys.argv[1:])
    sys.dont_write_bytecode = True  # the folders may be others' property
    sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), OPTIONS.reference]
    import torch
    import psanet_torch
    import safetensors_file
    if OPTIONS.device == "cuda" and not torch.cuda.is_available():
        raise WrongInput("--device cuda: PyTorch finds no GPU")
except (WrongInput, ImportError) as e:
    print(f"torch_step.py: {e}", file=sys.stderr)
    sys.exit(2)


def random_network(o):
    """In float32 on the processor."""
    layers, channels = MODELS[o.model]
    side = 2 * ((o.crop - 1) // 16 + 1) - 1
    net = psanet_torch.PSANet(layers=layers, dropout=0.0, classes=CLASSES, mask_h=side, mask_w=side,
                              mid_channels=channels)
    for name, module in net.named_modules():
        if not isinstance(module, torch.nn.BatchNorm2d):
            continue
        # The last of a residual block is small: evaluation with running statistics that fit no data must stay bounded.
        last = name.endswith("bn2" if layers == 18 else "bn3")
        module.weight.data.uniform_(0.1 if last else 0.5, 0.2 if last else 1.0)
        module.bias.data.normal_(0, 0.1)
        if not o.kinks:
            sign = torch.where(torch.arange(module.num_features) % 4 == 3, -1.0, 1.0)
            module.bias.data += 2 if last else 8 * sign  # behind the last comes a sum with what is not negative
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.5, 1.5)
    return net


def random_batch(o):
    image = torch.randn(o.batch, 3, o.crop, o.crop)
    label = torch.randint(0, CLASSES, (o.batch, o.crop, o.crop))
    label[torch.rand(label.shape) < 0.1] = IGNORED
    return image, label


def run_psanet(o, net, image, label):
    """Every quantity by name, as psanet-run computes it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        weights = {name: t.clone() for name, t in net.state_dict().items()}
        if o.mistake is not None:
            if o.mistake not in weights:
                raise WrongInput(f"--mistake {o.mistake}: {o.model} has no such parameter")
            weights[o.mistake] *= 1.01
        safetensors_file.write(folder / "weights.safetensors", weights)
        safetensors_file.write(folder / "input.safetensors", {"image": image, "label": label})
        command = [o.psanet_run, "--model", o.model, "--set", f"crop_h={o.crop}", f"crop_w={o.crop}", "dropout=0",
                   f"classes={CLASSES}", f"aux_weight={AUX_WEIGHT}", "--weights", folder / "weights.safetensors",
                   "--input", folder / "input.safetensors", "--output", folder / "output.safetensors", "--grad",
                   "--steps", 1, "--rate", RATE, "--momentum", MOMENTUM, "--weight-decay", DECAY,
                   "--head-rate-factor", HEAD_FACTOR, "--device", o.device, "--precision", o.precision]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            last = done.stdout.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
            raise RuntimeError(f"psanet-run ended with exit code {done.returncode}: {last[0]}")
        found = safetensors_file.read(folder / "output.safetensors")
    results = {("logits", "evaluation"): found["logits"]}
    for name in ("loss.main", "loss.aux"):
        results["loss", name] = found[name]
    for name, before in net.state_dict().items():
        if "num_batches" in name:
            continue
        if "running_" in name:
            results["running statistics", name] = found[name]
        else:
            results["gradient", name] = found["grad." + name]
            results["change of weights", name] = found[name].double() - before.double()
    return {key: value.double() for key, value in results.items()}


def run_torch(o, initial, image, label, dtype):
    """The same by PyTorch, in `dtype`."""
    net = random_network(o)
    net.load_state_dict(initial)
    net.to(o.device, dtype)
    image, label = image.to(o.device, dtype), label.to(o.device)

    def reduced():
        if o.precision == "bf16" and dtype == torch.float32:
            return torch.autocast(o.device, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    net.eval()
    with torch.no_grad(), reduced():
        results = {("logits", "evaluation"): net(image)}
    net.train()
    groups = psanet_torch.parameter_groups(net, RATE, HEAD_FACTOR)
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    with reduced():
        _, main, aux = net(image, label)
    (main + AUX_WEIGHT * aux).backward()
    results["loss", "loss.main"], results["loss", "loss.aux"] = main, aux
    for name, parameter in net.named_parameters():
        results["gradient", name] = parameter.grad.clone()
    optimizer.step()
    for name, t in net.state_dict().items():
        if "running_" in name:
            results["running statistics", name] = t
        elif "num_batches" not in name:
            results["change of weights", name] = t.double().cpu() - initial[name].double()
    return {key: value.detach().double().cpu() for key, value in results.items()}


def floor(o, kind, name):
    least = FLOOR[o.precision]
    if kind in VANISHING:
        if name.startswith("layer0."):
            least = max(least, TIES)
        if o.kinks:
            least = max(least, KINKS)
    return least


def compare(o, ours, theirs, right):
    """A row for each quantity."""
    largest = {kind: max(float(t.norm()) for (k, _), t in right.items() if k == kind) for kind in VANISHING}
    rows = []
    for (kind, name), wanted in right.items():
        norm = float(wanted.norm())
        scale = max(norm, 1e-6 * largest.get(kind, 0.0), 1e-30)
        found = ours[kind, name].reshape(wanted.shape)
        row = {"kind": kind, "name": name, "norm": norm, "error": float((found - wanted).norm()) / scale,
               "torch_error": float((theirs[kind, name] - wanted).norm()) / scale}
        row["limit"] = max(FACTOR * row["torch_error"], floor(o, kind, name))
        if norm >= 1e-3 * largest.get(kind, 0.0):
            row["limit"] = min(row["limit"], MOST)
        row["passed"] = math.isfinite(norm) and row["error"] <= row["limit"]
        rows.append(row)
    return rows


def table(rows):
    line = "{:<19}{:<34}{:>10}{:>10}{:>10}{:>10}  {}"
    lines = [line.format("", "worst of them", "norm", "psanet", "PyTorch", "limit", "")]

    def closeness(row):
        return row["error"] / row["limit"] if math.isfinite(row["error"]) else math.inf

    def add(what, row):
        lines.append(line.format(what, row["name"][-33:], *(f"{row[k]:.2e}" for k in
                     ("norm", "error", "torch_error", "limit")), "" if row["passed"] else "FAILED"))

    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    for kind in kinds:
        of_kind = [row for row in rows if row["kind"] == kind]
        add(f"{kind[:14]} ({len(of_kind)})", max(of_kind, key=closeness))
    lines.append("the ten worst gradients:")
    for row in sorted((r for r in rows if r["kind"] == "gradient"), key=closeness, reverse=True)[:10]:
        add("", row)
    return "\n".join(lines)


def main(o):
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = o.precision == "tf32"
    report = {"passed": False, "model": o.model, "crop": o.crop, "batch": o.batch, "precision": o.precision,
              "kinks": o.kinks, "device": o.device, "torch": torch.__version__, "floor": FLOOR[o.precision],
              "factor": FACTOR, "rows": []}
    torch.manual_seed(o.seed)
    net = random_network(o)
    image, label = random_batch(o)
    initial = net.state_dict()
    start = time.monotonic()
    try:
        ours = run_psanet(o, net, image, label)  # first, while PyTorch holds no memory of the GPU
        seconds = [time.monotonic() - start]
        theirs = run_torch(o, initial, image, label, torch.float32)
        seconds.append(time.monotonic() - start)
        right = run_torch(o, initial, image, label, torch.float64)
        seconds.append(time.monotonic() - start)
        report["rows"] = compare(o, ours, theirs, right)
        report["passed"] = all(row["passed"] for row in report["rows"])
        print(f"{o.model}, crop {o.crop}, batch {o.batch}, {o.precision}{', kinks' if o.kinks else ''}, {o.device}, "
              f"PyTorch {torch.__version__}; psanet {seconds[0]:.0f} s, PyTorch {seconds[1] - seconds[0]:.0f} s, "
              f"float64 {seconds[2] - seconds[1]:.0f} s; differences from float64, relative:")
        print(table(report["rows"]))
    except RuntimeError as e:
        report["error"] = str(e)
        print(f"torch_step.py: {e}", file=sys.stderr)
    failed = sum(not row["passed"] for row in report["rows"])
    print("passed" if report["passed"] else
          f"FAILED: {failed} of {len(report['rows'])} quantities" if report["rows"] else "FAILED: nothing to compare")
    for row in report["rows"]:  # JSON has no NaN
        row.update({key: str(value) for key, value in row.items()
                    if isinstance(value, float) and not math.isfinite(value)})
    pathlib.Path(o.output).write_text(json.dumps(report, indent=1) + "\n")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(OPTIONS))
    except (WrongInput, OSError) as e:
        print(f"torch_step.py: {e}", file=sys.stderr)
        sys.exit(2)
