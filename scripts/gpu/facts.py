"""What is measured on: hardware, driver, libraries, commit."""

import datetime
import json
import os
import platform
import re
import shutil
import sys

from gpu import processes

GPU = "name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit,temperature.gpu,utilization.gpu,pstate"
TORCH = ("import json, torch; print(json.dumps({'torch': torch.__version__, 'cuda': torch.version.cuda, "
         "'cudnn': torch.backends.cudnn.version(), 'gpu': torch.cuda.is_available()}))")


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    except OSError:
        return platform.machine()


def clocks():
    """Whether the GPU was hot or held back."""
    smi = shutil.which("nvidia-smi")
    query = "clocks.sm,clocks.mem,temperature.gpu,power.draw,utilization.gpu,pstate"
    told = processes.run([smi, f"--query-gpu={query}", "--format=csv,noheader"], dict(os.environ), "/", 5) if smi else None
    return told.text.strip() if told and told.code == 0 else ""


def at_once(run):
    """What needs no other program, and the GPU's name: the report is called after it."""
    git = processes.run(["git", "-C", run.places.root, "rev-parse", "--short", "HEAD"], dict(os.environ), "/", 5)
    changed = processes.run(["git", "-C", run.places.root, "status", "--porcelain"], dict(os.environ), "/", 5)
    manifest = run.places.manifest
    gpu = ""
    smi = shutil.which("nvidia-smi")
    if smi:
        told = processes.run([smi, f"--query-gpu={GPU}", "--format=csv,noheader"], dict(os.environ), "/", 20)
        gpu = told.text.strip().splitlines()[0] if told.code == 0 and told.text.strip() else ""
        run.log("nvidia-smi query", told.text)
    load = os.getloadavg()
    run.facts.update({
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": manifest.get("commit") or (git.text.strip() if git.code == 0 else "unknown"),
        "dirty": manifest.get("dirty", changed.code == 0 and bool(changed.text.strip())),
        "packed": manifest.get("date", ""),
        "gpu": gpu or "unknown GPU (nvidia-smi says nothing)",
        "gpu_name": re.sub(r"[^a-z0-9]+", "-", gpu.split(",")[0].lower()).strip("-") or "unknown-gpu",
        "processor": processor(), "cores": os.cpu_count(), "load": [round(x, 1) for x in load],
        "system": platform.platform(), "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
    })


def stage(doing):
    run = doing.run
    if doing.places.kit:
        damaged = doing.places.damaged()
        word = "missing" if any("missing" in d for d in damaged) else "failed" if damaged else "passed"
        doing.step("files of the kit", word, "; ".join(damaged[:5]))
    for name, command in (("nvidia-smi", ["nvidia-smi"]), ("nvcc", ["nvcc", "--version"]), ("free", ["df", "-h", "."])):
        if shutil.which(command[0]):
            told = doing.command(name, command, 20, ours=False)
            if name == "nvcc" and told.code == 0 and told.text.strip():
                run.facts["nvcc"] = told.text.strip().splitlines()[-2 if "Build" in told.text else -1]
    info = doing.command("psanet-info --device cuda", [doing.places.bin / "psanet-info", "--device", "cuda"], 60)
    run.facts["psanet"] = [line for line in info.text.splitlines() if line.startswith(("psanet", "backends", "device"))]


def ask_torch(run):
    """Importing PyTorch takes its time: asked beside the first stages, read when it is needed."""
    run.asked_torch = processes.start([sys.executable, "-c", TORCH], dict(os.environ), run.places.root)


def torch(run):
    """What PyTorch there is, or nothing."""
    if run.asked_torch is None:
        return {}
    if "torch" not in run.facts:
        ended = run.asked_torch
        if isinstance(ended, processes.Process):
            ended = ended.wait(90)
        run.log("import torch", ended.text)
        try:
            run.facts["torch"] = json.loads(ended.text.strip().splitlines()[-1])
        except (ValueError, IndexError):
            run.facts["torch"] = {}
    return run.facts["torch"]
