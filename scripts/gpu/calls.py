"""What the three calls do, in which order, in how much time: verdict first, then the figures that are worth most."""

from gpu import correctness, deeper, facts, timing
from gpu.runner import Stage

MINUTES = 9.25  # a command may take ten; unpacking and the last report take the rest


def opening():
    return [Stage("facts", facts.stage, 10, 40),
            Stage("every program starts", correctness.programs_start, 15, 30)]


def comparison():
    return [
        Stage("our training step", timing.our_training, 100, 180, alone=True),
        Stage("PyTorch's training step", timing.torch_stage(timing.eager), 45, 120, alone=True),
        Stage("PyTorch's training step, compiled", timing.torch_stage(timing.compiled), 60, 150, alone=True),
        Stage("our attention", timing.our_psa, 25, 60, alone=True),
        Stage("PyTorch's attention", timing.torch_stage(timing.psa_eager), 25, 60, alone=True),
        Stage("PyTorch's attention, compiled", timing.torch_stage(timing.psa_compiled), 30, 120, alone=True),
    ]


def one_step():
    return Stage("one step at the paper's crop beside PyTorch", correctness.one_step, 40, 120)


def fifty_steps():
    return Stage("fifty steps, twice", timing.fifty_steps, 30, 90, alone=True)


def call_1():
    return [*opening(),
            Stage("PyTorch compiles ahead", timing.compile_ahead, 3),
            Stage("the libraries' proposals", correctness.proposals, 15, 30),
            *correctness.case_stages(), one_step(), *comparison(), fifty_steps(),
            Stage("what is proposed for PSANet-50", correctness.proposals_for_psanet, 5, 90)]


def call_2():
    return [*opening(),
            Stage("time of every kernel", deeper.kernel_times, 70, 150, alone=True),
            Stage("CamVid, trained and scored", deeper.camvid, 320, 400, alone=True),
            Stage("worst kernels under ncu", deeper.profiler, 30, 60, alone=True),
            Stage("other networks", timing.our_networks, 60, 120, alone=True),
            Stage("compute-sanitizer", deeper.sanitizer, 40, 200)]


def call_3(failed):
    """What failed before (None: it is not known, so everything), and the comparison again."""
    again = [*correctness.case_stages(), one_step(), fifty_steps(),
             Stage("CamVid, trained and scored", deeper.camvid, 5, 250, alone=True),
             Stage("time of every kernel", deeper.kernel_times, 5, 100, alone=True)]
    if failed is not None:
        again = [s for s in again if s.name in failed]
    else:
        again = again[:-2]
    return [*opening(), *again, *comparison(),
            Stage("PyTorch's inference", timing.torch_stage(timing.inference), 5, 60, alone=True),
            Stage("other networks", timing.our_networks, 5, 60, alone=True)]


def of_call(number, failed=None):
    stages = {1: call_1, 2: call_2}[number]() if number < 3 else call_3(failed)
    total = sum(s.limit for s in stages)
    assert total <= MINUTES * 60, f"call {number}: {total} s do not fit {MINUTES * 60} s"
    return stages
