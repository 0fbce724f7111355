"""Stages, one after the other, in the time that there is; whatever one of them does, it costs that stage alone."""

import errno
import os
import pathlib
import shutil
import tempfile
import threading
import time
import traceback

from gpu import facts, processes

# From the best to the worst: a stage is as good as the worst of its commands.
WORDS = ["passed", "skipped", "left out", "missing", "not started", "disk full", "failed", "hung", "crashed", "broken"]
NO_TIME = "no time left"
GOOD = ("passed", "skipped", "left out")


def worst(words):
    return max(words, key=WORDS.index, default="passed")


class Stage:
    """What is to be done: `limit` seconds are kept for it; it may use up to `most` where others needed less."""

    def __init__(self, name, work, limit, most=None, alone=False):
        self.name, self.work, self.limit, self.most = name, work, limit, max(most or limit, limit)
        self.alone = alone  # it measures time: what runs beside the stages stands still meanwhile


class End(Exception):
    """Ends a stage with a verdict."""

    def __init__(self, word, why):
        super().__init__(why)
        self.word, self.why = word, why


class Doing:
    """A stage while it is done: starts its commands and keeps what came out."""

    def __init__(self, run, stage, limit, folder):
        self.run, self.stage, self.folder = run, stage, pathlib.Path(folder)
        self.end = time.monotonic() + limit
        self.lock = threading.Lock()
        self.result = {"name": stage.name, "result": "passed", "why": "", "steps": []}
        self.counts = {}

    @property
    def places(self):
        return self.run.places

    @property
    def sizes(self):
        return self.run.sizes

    def left(self):
        return self.end - time.monotonic()

    def step(self, name, word, why="", seconds=None, tail=None):
        """One line of the report. What passed is only counted."""
        with self.lock:
            self.counts[word] = self.counts.get(word, 0) + 1
            one = {"name": name, "result": word}
            if why:
                one["why"] = why
            if seconds is not None:
                one["seconds"] = round(seconds, 1)
            if tail:
                one["tail"] = tail
            self.result["steps"].append(one)
        self.run.say(f"  {name}: {word}" + (f" ({why})" if why else "") +
                     (f", {seconds:.1f} s" if seconds is not None else ""))

    def command(self, name, command, limit=None, ours=True, environment=None, grace=2.0, log=True,
                refuse=None):
        """Runs it, makes a step of it, returns how it ended (processes.Ended). refuse: words that must not be said."""
        limit = min(limit or self.left(), self.left())
        if limit < 1:
            self.step(name, "left out", NO_TIME)
            return processes.Ended("", 0.0, problem="left out", why=NO_TIME)
        e = self.places.environment(**(environment or {})) if ours else {**os.environ, **(environment or {})}
        if ours:
            e.setdefault("XDG_CACHE_HOME", str(self.folder))
            e["TMPDIR"] = str(self.folder)
        ended = processes.run(command, e, self.folder, limit, grace)
        word, why = ended.verdict()
        if word == "passed" and "SKIPPED: " in ended.text:
            word, why = "skipped", ended.text.split("SKIPPED: ", 1)[1].splitlines()[0].strip()
            if why.startswith("no CUDA device"):
                word = "failed"  # it is what this machine was borrowed for
        elif word == "passed" and refuse and refuse in ended.text:
            word, why = "failed", "it says: " + next(t for t in ended.text.splitlines() if refuse in t).strip()
        tail = [] if word in ("passed", "skipped") else ended.text.strip().splitlines()[-12:]
        self.step(name, word, why, ended.seconds, tail)
        if log:
            self.run.log(f"{self.stage.name}/{name}", ended.text)
        return ended

    def leave_out(self, why):
        raise End("left out", why)

    def need(self, *programs):
        for program in programs:
            if not (self.places.bin / program).is_file():
                raise End("missing", f"there is no {program}")


class Run:
    def __init__(self, places, sizes, minutes, report, after=None):
        self.places, self.sizes, self.report = places, sizes, report
        self.end = time.monotonic() + minutes * 60
        self.results, self.logs, self.tables, self.facts = [], {}, {}, {}
        self.after = after  # of an earlier call: {stage: {names of the steps that did not pass}}
        self.beside = {}  # processes that run beside the stages, by name
        self.asked_torch, self.worst_kernels = None, None
        self.fault = os.environ.get("PSANET_GPU_CHECK_FAULT")  # a stage with an exception in our own Python: for rehearsals
        self.doing = None  # the stage of the moment
        self.work = self._folder()
        self.algorithms = self.work / "algorithms.txt"
        try:
            shutil.copyfile(places.beside / "algorithms.txt", self.algorithms)
            self.facts["algorithms"] = "those of an earlier call"
        except OSError:
            self.facts["algorithms"] = "measured in this call"

    def _folder(self):
        for parent in (None, "/dev/shm", "/var/tmp", self.places.root.parent):
            try:
                return pathlib.Path(tempfile.mkdtemp(prefix="psanet-gpu-check-", dir=parent))
            except OSError as e:
                self.say(f"no folder to work in: {e}")
        return pathlib.Path(".")

    @staticmethod
    def say(text):
        try:
            print(text + "\n", end="", flush=True)  # one write: threads say their lines at the same time
        except OSError:
            pass  # nobody listens

    def log(self, name, text):
        self.logs[name] = text

    def perform(self, stages):
        for i, stage in enumerate(stages):
            left = self.end - time.monotonic()
            spare = left - sum(s.limit for s in stages[i + 1:])
            self.perform_one(stage, min(stage.most, max(spare, min(stage.limit, left))))
            self.report.write(self)
        self.close()

    def close(self):
        self.end_beside()
        processes.end_all()
        if self.doing:  # we ourselves are being ended
            with self.doing.lock:
                result = dict(self.doing.result, result="hung", why="gpu-check was ended from outside")
            self.results.append(result)
            self.doing = None
        if self.work != pathlib.Path("."):
            shutil.rmtree(self.work, ignore_errors=True)

    def begin_beside(self, name, command):
        process = processes.start(command, dict(os.environ), self.places.root)
        if isinstance(process, processes.Ended):
            raise End(*process.verdict())
        self.beside[name] = process

    def end_beside(self):
        for name, process in self.beside.items():
            process.resume()
            ended = process.wait(0)
            self.log(name, ended.text)
        self.beside = {}

    def perform_one(self, stage, limit):
        began = time.monotonic()
        self.say(f"{stage.name} (at most {max(limit, 0):.0f} s)")
        if limit < 3:
            self.results.append({"name": stage.name, "result": "left out", "why": NO_TIME, "steps": []})
            self.say(f"{stage.name}: left out ({NO_TIME})")
            return
        if stage.alone:
            for process in self.beside.values():
                process.pause()
        folder, doing = None, None
        try:
            folder = tempfile.mkdtemp(dir=self.work)
            self.doing = doing = Doing(self, stage, limit, folder)
            result = self._in_a_thread(doing, limit)
        except Exception as e:  # no folder, no thread
            result = (doing or Doing(self, stage, limit, ".")).result
            result.update(result="disk full" if getattr(e, "errno", 0) == errno.ENOSPC else "broken", why=str(e))
        if stage.alone:
            for process in self.beside.values():
                process.resume()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        self.doing = None
        if stage.alone:
            result["gpu after it"] = facts.clocks()
        result["seconds"] = round(time.monotonic() - began, 1)
        self.results.append(result)
        self.say(f"{stage.name}: {result['result']}" + (f" ({result['why']})" if result["why"] else "") +
                 f", {result['seconds']} s")

    def _in_a_thread(self, doing, limit):
        """So that a stage whose Python hangs (say, in a file of a dead disk) is left behind."""
        verdict = {}

        def work():
            try:
                if self.fault and self.fault in doing.stage.name:
                    raise RuntimeError("a fault that was asked for")
                doing.stage.work(doing)
            except End as e:
                verdict.update(result=e.word, why=e.why)
            except Exception as e:
                full = isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EFBIG)
                verdict.update(result="disk full" if full else "broken",
                               why=f"{type(e).__name__}: {e}", tail=traceback.format_exc().splitlines()[-8:])

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(limit + 15)
        result = doing.result
        if thread.is_alive():
            verdict = {"result": "hung", "why": "gpu-check itself: the stage was left behind"}
        with doing.lock:
            steps = [s["result"] for s in result["steps"]]
        word = worst(steps)
        if word in ("skipped", "left out") and any(s == "passed" for s in steps):
            word = "passed"  # some were skipped: their number says so
        n = len(steps)
        counts = [f"{doing.counts[w]} {w}" for w in WORDS if w in doing.counts]
        result.update(result=word, why="" if n < 2 and word == "passed" else ", ".join(counts))
        if verdict and WORDS.index(verdict["result"]) >= WORDS.index(word):
            verdict["why"] += f" (after {result['why']})" if result["why"] else ""
            result.update(verdict)
        return result
