"""Stages of the second call: where the time goes, a whole training run, other networks, sanitizers."""

import json
import re
import shutil
import sys

from gpu import timing
from gpu.correctness import losses

# Where nothing is known yet of which kernels are slow.
SUSPECTS = ["aggregate", "score_gradient", "resize_taps", "cells", "batch_norm"]


def kernel_times(doing):
    """Every kernel inside the recorded training step, beside what it has to compute and to move."""
    places, run, s = doing.places, doing.run, doing.sizes
    program, library = places.modules / "kernel_times.py", places.injection()
    ceilings, launches, kernels = (doing.folder / n for n in ("ceilings.json", "launches.json", "kernels.tsv"))
    table = doing.folder / "table.json"
    if not program.is_file() or library is None:
        doing.leave_out("kernel_times.py or its library is not there")
    # Algorithms are measured first, so that the timed process runs nothing but the step.
    timing.benchmarks(doing, f"{s.model}, training step", f"^training/{s.model}/", limit=doing.left() - 20)
    doing.command("ceilings", [places.bin / "psanet-bench", "--device=cuda", "--precision=bf16",
                               "--benchmark_filter=^ceiling", f"--benchmark_out={ceilings}",
                               "--benchmark_out_format=json", *s.bench], 30)
    doing.command("the step with its kernels timed", [
        places.bin / "psanet-bench", "--device=cuda", "--precision=bf16", f"--benchmark_filter=^training/{s.model}/",
        f"--launches={launches}", *s.bench], environment={
            **timing.measured(doing), "CUDA_INJECTION64_PATH": str(library), "PSANET_KERNEL_TIMES": str(kernels)})
    for file in (ceilings, launches, kernels):
        if file.is_file():
            run.log(f"kernel times/{file.name}", file.read_text(errors="replace")[:8 * 1024 * 1024])
        else:
            doing.step(file.name, "missing", "the program before has not written it")
    ended = doing.command("table", [sys.executable, program, "--launches", launches, "--kernels", kernels,
                                    "--ceilings", ceilings, "--output", table], ours=False)
    if ended.code == 0:
        run.tables["kernels"] = ended.text.strip().splitlines()
        found = json.loads(table.read_text())
        run.log("kernel times/table.json", json.dumps(found, indent=1))
        run.worst_kernels = worst_kernels(found)


def worst_kernels(table):
    """Names of our five kernels that lose most: what the libraries' kernels lose is theirs to mend."""
    names = []
    for row in table["kernels"]:
        name = re.sub(r"[<(].*", "", row["kernel"]).split("::")[-1]
        if row["ours"] and name and name not in names:
            names.append(name)
    return names[:5]


def profiler(doing):
    tool = shutil.which("ncu")
    if not tool:
        doing.leave_out("ncu is not installed")
    kernels = doing.run.worst_kernels or SUSPECTS
    for i, kernel in enumerate(kernels):
        ended = doing.command(f"ncu: {kernel}", [
            tool, "--kernel-name", f"regex:{kernel}", "--launch-count", "1", "--target-processes", "all",
            "--clock-control", "none",  # the clocks of everything else that is measured here
            "--section", "SpeedOfLight", "--section", "Occupancy", "--section", "WarpStateStats",
            "--section", "MemoryWorkloadAnalysis", "--section", "LaunchStats",
            doing.places.bin / "psanet-bench", "--device=cuda", "--precision=bf16",
            f"--benchmark_filter=^training/{doing.sizes.model}/", *doing.sizes.bench],
            doing.left() / (len(kernels) - i), environment=timing.measured(doing))
        if "ERR_NVGPUCTRPERM" in ended.text:
            doing.leave_out("counters are for administrators alone on this machine")


def camvid(doing):
    """The recipe from its first update to its score."""
    s, places, run = doing.sizes, doing.places, doing.run
    if not (places.camvid / "lists").is_dir():
        doing.leave_out("CamVid did not travel")
    doing.need("psanet-train", "psanet-eval")
    out = doing.folder / "camvid"
    kept_for_scores = 30
    ended = doing.command("training", [
        places.bin / "psanet-train", "camvid", "--device", "cuda", "--precision", "bf16", "--data-root", places.camvid,
        "--output", out, "--set", f"model={s.model}", f"workers={s.data_workers}", "val_split=", *s.camvid],
        doing.left() - kept_for_scores, environment=timing.measured(doing), grace=15)
    lines = losses(out) if (out / "metrics.jsonl").is_file() else []
    run.log("camvid/metrics.jsonl", "\n".join(json.dumps(x) for x in lines))
    weights = []
    if ended.problem == "hung" and not (out / "weights.safetensors").is_file():
        saved = sorted((out / "checkpoints").glob("*.safetensors"))
        weights = ["--weights", saved[-1]] if saved else []
    scores = doing.command("scores", [
        places.bin / "psanet-eval", out, "--device", "cuda", "--precision", "bf16", "--data-root", places.camvid,
        "--split", "val", "--output", doing.folder / "scores", *weights, *s.camvid_eval], environment=timing.measured(doing))
    found = {"updates": lines[-1]["iteration"] if lines else 0,
             "seconds": next((x["seconds"] for x in reversed(lines) if "seconds" in x), None),
             "data_wait_seconds": next((x["data_wait_seconds"] for x in reversed(lines) if "data_wait_seconds" in x), None),
             "loss": [x["loss"] for x in lines if "loss" in x][::20]}
    if scores.code == 0:
        found["scores"] = json.loads((doing.folder / "scores" / "metrics.json").read_text())
    run.tables["camvid"] = found


def sanitizer(doing):
    tool = shutil.which("compute-sanitizer")
    if not tool:
        doing.leave_out("compute-sanitizer is not installed")
    for check, tests in doing.sizes.sanitizer:
        ended = doing.command(f"compute-sanitizer {check}", [
            tool, "--tool", check, "--error-exitcode", 9, doing.places.bin / "test_cuda", tests],
            doing.left() / 2 if check == "memcheck" else None, environment={"PSANET_ALGORITHMS": "off"})
        if ended.code and "not supported" in ended.text.lower():
            doing.leave_out("the tool does not support this device")
