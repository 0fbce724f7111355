"""Catch2's test cases, each in a process of its own, several at a time: one that crashes or hangs costs itself."""

import concurrent.futures
import os

AT_A_TIME = 6
LONG = ["training", "2^31", "published", "every kind"]  # in names of cases that take long: they are begun first


def escaped(name):
    """So that Catch2 takes it for a name and not for a pattern."""
    for c in "\\,[]*":
        name = name.replace(c, "\\" + c)
    return name


def names(doing, program, patterns):
    """The test cases of a program. Catch2 2 ends with their number as exit code, so that says nothing."""
    from gpu import processes
    command = [doing.places.bin / program, "--list-test-names-only", *([patterns] if patterns else [])]
    listed = processes.run(command, doing.places.environment(), doing.folder, min(30, doing.left()))
    found = [line.strip() for line in listed.text.splitlines() if line.strip()]
    word, why = listed.verdict()
    if word in ("crashed", "hung", "missing", "not started") or not found:
        doing.step(f"list of the cases of {program}", word if word != "passed" else "failed", why or "it is empty",
                   tail=listed.text.strip().splitlines()[-12:])
        return []
    return found


def run(doing, wanted, environment, limit, only=None):
    """wanted: [(program, patterns or None)]. only: names of cases, where not all are to run."""
    cases = [(program, name) for program, patterns in wanted for name in names(doing, program, patterns)]
    if only is not None:  # or all of them, where not even their list was known
        cases = [c for c in cases if f"{c[0]}: {c[1]}" in only] or cases
    cases.sort(key=lambda c: not any(word in c[1] for word in LONG))
    cases = cases[:doing.sizes.cases]
    threads = max(1, (os.cpu_count() or 1) // AT_A_TIME)

    def one(case):
        program, name = case
        doing.command(f"{program}: {name}", [doing.places.bin / program, escaped(name)], limit,
                      environment={"OMP_NUM_THREADS": str(threads), **environment}, refuse="No test cases matched")

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(one, cases))
