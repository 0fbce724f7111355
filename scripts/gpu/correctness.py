"""Stages that say whether the results are right."""

import concurrent.futures
import json
import pathlib
import shlex
import sys

from gpu import cases, facts
from gpu.places import PROGRAMS, TESTS

FIRST_GUESS = {"PSANET_ALGORITHMS": "off"}  # measuring algorithms for hundreds of tiny shapes would take the time


def programs_start(doing):
    """Whether every program finds its libraries and runs on this processor."""
    commands = [(p, "--help" if p == "psanet-bench" or p in TESTS else "--version") for p in PROGRAMS + TESTS
                if p not in doing.sizes.without]

    def one(command):
        program, option = command
        ended = doing.command(f"{program} {option}", [doing.places.bin / program, option], 15)
        if program == "psanet-train" and ended.code == 0:
            doing.run.facts["version"] = ended.text.strip()

    with concurrent.futures.ThreadPoolExecutor(cases.AT_A_TIME) as pool:
        list(pool.map(one, commands))


def proposals(doing):
    """What the libraries propose, and which of it is taken: into the logs, for whatever is not right later."""
    e = {"CUDNN_LOGLEVEL_DBG": "2", "CUDNN_LOGDEST_DBG": "stderr", "CUBLASLT_LOG_LEVEL": "2",
         "PSANET_ALGORITHMS": str(doing.folder / "chosen.txt")}
    pattern = "one row*" if doing.sizes.cases else "conv2d: bias*,gemm*"
    doing.command("convolutions and products with the libraries' own words",
                  [doing.places.bin / "test_cuda", pattern], environment=e, limit=doing.left())
    chosen = doing.folder / "chosen.txt"
    doing.run.log("libraries/chosen algorithms", chosen.read_text(errors="replace") if chosen.is_file() else "none\n")


def proposals_for_psanet(doing):
    """Into the logs: what both libraries propose for every op of PSANet-50, and whether the plans that cuDNN was asked for
    without a GPU (by a description of it) are those that it has for this one."""
    program = doing.places.bin / "test_cudnn_plans"
    if not program.is_file():
        doing.leave_out("test_cudnn_plans is not there")
    doing.command("plans for the GPU and for its description", [program, "on a GPU*"], limit=doing.left())
    doing.command("proposals for PSANet-50", [program, "[dump]"], limit=doing.left())


def only(doing, stage):
    """In call 3: the cases that did not pass before."""
    return None if doing.run.after is None else doing.run.after.get(stage)


def case_stage(name, wanted, environment=None, needs_golden=False, limit=60, most=None, patterns=None):
    from gpu.runner import Stage

    def work(doing):
        if needs_golden and not doing.places.golden.is_dir():
            doing.leave_out("golden numbers did not travel")
        chosen = wanted(doing.sizes)
        cases.run(doing, chosen, {**FIRST_GUESS, **(environment or {})}, doing.sizes.case_limit, only(doing, name))

    return Stage(name, work, limit, most)


def case_stages():
    return [
        case_stage("kernels beside the processor's", lambda s: [("test_cuda", s.cuda)], limit=60, most=150),
        case_stage("ops, training and NCCL on the device",
                   lambda s: [(p, patterns) for p, patterns in (("test_nccl_device", None), ("test_device", s.devices))
                              if p not in s.without], limit=40, most=120),
        case_stage("our own convolutions and products", lambda s: [("test_cuda", s.own)],
                   {"PSANET_ALGORITHMS": "ours"}, limit=20, most=60),
        case_stage("golden networks and layers",
                   lambda s: [("test_models", s.networks_golden), ("test_layers", s.layers_golden)],
                   {"PSANET_TEST_DEVICE": "cuda"}, needs_golden=True, limit=30, most=90),
    ]


def run_script(doing):
    """psanet-run with its environment, for a program that must have another."""
    script = doing.folder / "psanet-run"
    e = doing.places.environment(**FIRST_GUESS)
    ours = [f"{k}={shlex.quote(v)}" for k, v in e.items() if k.startswith("PSANET_") or k == "LD_LIBRARY_PATH"]
    script.write_text(f"#!/bin/sh\n{' '.join(ours)} exec {shlex.quote(str(doing.places.bin / 'psanet-run'))} \"$@\"\n")
    script.chmod(0o755)
    return script


def one_step(doing):
    """One training step at the paper's crop: weights, images and labels are the same in both."""
    program = doing.places.modules / "torch_step.py"
    if not program.is_file():
        doing.leave_out("torch_step.py is not there")
    if not (doing.places.reference / "psanet_torch.py").is_file():
        doing.leave_out("PyTorch's peer did not travel")
    if not facts.torch(doing.run).get("gpu"):
        doing.leave_out("no PyTorch with CUDA here")
    doing.need("psanet-run")
    found = doing.folder / "step.json"
    ended = doing.command("one step beside PyTorch", [
        sys.executable, program, "--psanet-run", run_script(doing), "--reference", doing.places.reference,
        "--device", "cuda", "--crop", doing.sizes.crop, "--batch", 2, "--model", doing.sizes.model,
        "--output", found], ours=False)
    doing.run.tables["one step"] = ended.text.strip().splitlines()[-40:]
    if ended.code == 0 and not json.loads(found.read_text())["passed"]:
        doing.step("its report", "failed", "exit code 0, but it says that it has not passed")


def losses(folder):
    lines = []
    for line in (pathlib.Path(folder) / "metrics.jsonl").read_text().splitlines():
        lines.append(json.loads(line))
    return lines
