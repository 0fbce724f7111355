"""Stages that measure time: ours and PyTorch's. Each is alone on the GPU."""

import hashlib
import json
import statistics
import sys

from gpu import facts
from gpu.correctness import losses


def read_benchmarks(path):
    """The results in a file of Google Benchmark's, also if it was stopped in the middle of writing it."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    for whole in (text, text[:text.rfind("\n    }") + 6] + "]}"):
        try:
            return json.loads(whole)["benchmarks"]
        except (ValueError, KeyError, TypeError):
            pass
    return []


def measured(doing):
    """Where the choices of algorithms are remembered: measured once, used by all later stages, taken along."""
    return {"PSANET_ALGORITHMS": str(doing.run.algorithms)}


def benchmarks(doing, name, pattern, precision="bf16", limit=None, environment=None, note=None):
    """Runs psanet-bench; its results join the others."""
    doing.need("psanet-bench")
    out = doing.folder / "bench.json"
    doing.command(name, [doing.places.bin / "psanet-bench", "--device=cuda", f"--precision={precision}",
                         f"--benchmark_filter={pattern}", "--benchmark_min_time=0.2", f"--benchmark_out={out}",
                         "--benchmark_out_format=json", *doing.sizes.bench],
                  limit, environment={**measured(doing), **(environment or {})})
    rows = []
    for r in read_benchmarks(out):
        if r.get("error_occurred") or "error_message" in r or "real_time" not in r:
            doing.step(r.get("name", "?"), "failed", r.get("error_message", "no time"))
            continue
        row = {"name": r["name"].replace("/real_time", "").split("/iterations:")[0], "precision": precision,
               "median_ms": r.get("median_ms", r["real_time"]), "min_ms": r.get("min_ms", r["real_time"])}
        row.update({k: v for k, v in r.items() if k in ("GFLOP/s", "GB/s", "launches", "peak_MiB")})
        if note:
            row["note"] = note
        rows.append(row)
    if not rows:
        doing.step(f"results of {name}", "failed", "there are none that can be read")
    doing.run.tables.setdefault("ours", []).extend(rows)
    return rows


def our_training(doing):
    benchmarks(doing, "ceilings: a copy, a matrix product", "^ceiling", limit=20)
    # A figure at once; measuring algorithms for every shape takes a minute or two, and may not come to an end.
    name, pattern = f"{doing.sizes.model}, training step", f"^training/{doing.sizes.model}/"
    benchmarks(doing, f"{name}, first guesses of algorithms", pattern, limit=45,
               environment={"PSANET_ALGORITHMS": "off"}, note="first guesses of algorithms")
    benchmarks(doing, name, pattern)


def our_psa(doing):
    sizes = "|".join(f"size:{size}/mask:{mask}(/|$)" for size, mask in doing.sizes.psa)
    benchmarks(doing, "PSA", f"^(psa|psa_projected)/.*/batch:{doing.sizes.batch}/({sizes})")


def our_networks(doing):
    s = doing.sizes
    for name, pattern, limit in ((f"{s.model}, inference", f"^inference/{s.model}/", 40),
                                 ("loss head", "^loss_head", 15),
                                 ("other networks", f"^(training|inference)/({s.networks})/", None)):
        benchmarks(doing, name, pattern, limit=limit)


# PyTorch: [name, arguments of bench_torch.py]. --fp32-resize: the 16-bit backward pass of the resize is slow in some releases.

def train(doing, *more):
    s = doing.sizes
    return ["--mode", "train", "--precision", "bf16", "--channels-last", "--crop", str(s.crop), "--batch", str(s.batch),
            *s.torch_times, *more]


def eager(doing):
    return [["training, eager, fp32 resize of logits", train(doing, "--fused-sgd", "--fp32-resize", "logits")],
            ["training, eager, fp32 resize of all", train(doing, "--fused-sgd", "--fp32-resize", "all")],
            ["training, eager", train(doing, "--fused-sgd")],
            ["training, eager, strided PSA", train(doing, "--fused-sgd", "--fp32-resize", "all", "--impl", "strided")],
            ["training, eager, CUDA graph", train(doing, "--fp32-resize", "logits", "--cuda-graph")]]


def compiled(doing):
    common = ["--fp32-resize", "all", "--compile"]
    return [["training, compiled", train(doing, *common, "--fused-sgd")],
            ["training, compiled, reduce-overhead", train(doing, *common, "--compile-mode", "reduce-overhead")]]


def psa(doing, more):
    s = doing.sizes
    found = []
    for size, mask in s.psa:
        for label, arguments in more:
            found.append([f"PSA {size}/{mask}, {label}",
                          ["--mode", "psa", "--precision", "bf16", "--psa-size", str(size), "--mask", str(mask),
                           "--psa-batch", str(s.batch), "--warmup", "5", "--iters", "20", *arguments]])
    return found


def psa_eager(doing):
    return psa(doing, [("gather", ["--impl", "gather"]), ("strided", ["--impl", "strided"])])


def psa_compiled(doing):
    # Not the strided form: the compiler gives it up at the strides.
    return psa(doing, [("gather, compiled", ["--impl", "gather", "--compile"])])


def inference(doing):
    s = doing.sizes
    common = ["--mode", "infer", "--precision", "bf16", "--channels-last", "--crop", str(s.crop), *s.torch_times]
    return [["inference, compiled", [*common, "--batch", str(s.batch), "--compile"]],
            ["inference of one image, CUDA graph", [*common, "--batch", "1", "--cuda-graph"]]]


def torch_command(doing, variants):
    return [sys.executable, doing.places.modules / "torch_bench.py", "--reference", doing.places.reference,
            "--variants", json.dumps(variants)]


def torch_missing(doing):
    """Why PyTorch's side cannot be measured, or nothing."""
    for name in ("bench_torch.py", "psanet_torch.py"):
        if not (doing.places.reference / name).is_file():
            return "PyTorch's peer did not travel"
    return ""


def torch_stage(make_variants):
    def work(doing):
        doing.run.end_beside()  # its memory is needed
        why = torch_missing(doing) or ("" if facts.torch(doing.run).get("gpu") else "no PyTorch with CUDA here")
        if why:
            doing.leave_out(why)
        ended = doing.command("PyTorch", torch_command(doing, make_variants(doing)), ours=False)
        rows, variant = [], ""
        for line in ended.text.splitlines():
            if line.startswith("== "):
                variant = line[3:]
            elif line.startswith("!! "):
                doing.step(line[3:].split(":")[0], "failed", line[3:])
            elif line.startswith("{"):
                rows.append({"variant": variant, **json.loads(line)})
        if not rows:
            doing.step("results of PyTorch", "failed", "there are none that can be read")
        doing.run.tables.setdefault("torch", []).extend(rows)
    return work


def compile_ahead(doing):
    """PyTorch compiles for a minute, on the processor: beside the first stages, into the cache that it keeps."""
    why = torch_missing(doing)
    if why:
        doing.leave_out(why)
    once = []
    for name, arguments in (compiled(doing)[:1] + psa_compiled(doing) + compiled(doing)[1:]):
        once.append([name, [*arguments, "--warmup", "1", "--iters", "1"]])
    doing.run.begin_beside("PyTorch compiles ahead", torch_command(doing, once))


# 50 steps, twice.

def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def step_milliseconds(lines):
    """Between the lines of metrics.jsonl from the first on, a step: [ms]. Loading and recording lie before them."""
    timed = [(x["iteration"], x["seconds"]) for x in lines if "seconds" in x and "loss" in x]
    return [1000 * (s2 - s1) / (i2 - i1) for (i1, s1), (i2, s2) in zip(timed, timed[1:]) if i2 > i1]


def fifty_steps(doing):
    s, places = doing.sizes, doing.places
    doing.need("psanet-scenes", "psanet-train")
    scenes = doing.folder / "scenes"
    made = doing.command("scenes to train on", [
        places.bin / "psanet-scenes", "--output", scenes, "--train", s.scenes, "--val", 4,
        "--height", s.scene[0], "--width", s.scene[1]], 30)
    if made.code != 0:
        return
    found = {}
    for name in ("once", "again"):
        out = doing.folder / name
        ended = doing.command(f"{s.steps} steps of {s.model}, {name}", [
            places.bin / "psanet-train", "demo_with_psa", "--device", "cuda", "--precision", "bf16",
            "--data-root", scenes, "--output", out, "--set", f"model={s.model}", "let={}", f"let.crop_h={s.crop}",
            f"let.crop_w={s.crop}", f"batch={s.batch if s.cases is None else 2}", f"iterations={s.steps}",
            f"workers={s.data_workers}", "base_rate=0.01", "val_split="],
            doing.left() / (2 if name == "once" else 1), environment=measured(doing))
        if ended.code != 0:
            break
        lines = losses(out)
        ms = step_milliseconds(lines)
        found[name] = {"weights": digest(out / "weights.safetensors"), "loss": [x["loss"] for x in lines if "loss" in x],
                       "median_ms": statistics.median(ms) if ms else None,
                       "data_wait_seconds": lines[-1].get("data_wait_seconds")}
    doing.run.tables["fifty steps"] = found
    if len(found) == 2:
        same = found["once"]["weights"] == found["again"]["weights"]
        doing.step("the same bits both times", "passed" if same else "failed")
