"""The report: Markdown for people, JSON for programs, one archive of logs; rewritten after every stage."""

import errno
import io
import json
import os
import pathlib
import tarfile

from gpu import comparison
from gpu.runner import GOOD

RESERVE = 512 * 1024  # bytes kept for the report, should a stage fill the disk
LOGS_AT_MOST = 24 * 1024 * 1024


class Report:
    def __init__(self, folder, call):
        self.folder, self.call = pathlib.Path(folder), call
        self.reserve = self.folder / "reserved"
        self.stem, self.lost = None, []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.reserve.write_bytes(b"\0" * RESERVE)
        except OSError:
            self._remove(self.reserve)

    def write(self, run, last=False):
        """Never raises: what cannot be written is said."""
        try:
            self._write(run, last)
        except Exception as e:
            run.say(f"the report cannot be written: {type(e).__name__}: {e}")

    def _write(self, run, last):
        if self.stem is None:
            self.stem = f"{run.facts.get('gpu_name', 'gpu')}-{run.facts.get('date', '')[:10]}-call{self.call}"
        if last:
            self._remove(self.reserve)
        told = content(run, self.call)
        self._put(f"{self.stem}.md", markdown(told).encode(), run)
        self._put(f"{self.stem}.json", (json.dumps(told, indent=1, default=str) + "\n").encode(), run)
        if run.algorithms and run.algorithms.is_file():
            self._put("algorithms.txt", run.algorithms.read_bytes(), run)
        self._put("logs.tar.gz", archive(run.logs), run)

    def _put(self, name, data, run):
        """Whole or not at all: under another name first."""
        path, new = self.folder / name, self.folder / (name + ".new")
        makes_room = [None, self.reserve] + ([] if name.startswith("logs") else [self.folder / "logs.tar.gz"])
        for victim in makes_room:
            if victim is not None:
                self._remove(victim)
            try:
                with open(new, "wb") as f:
                    f.write(data)
                    f.flush()
                    os.fsync(f.fileno())
                os.replace(new, path)
                return
            except OSError as e:
                self._remove(new)
                if e.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
        if name not in self.lost:
            self.lost.append(name)
            run.say(f"no space left for {name}")

    @staticmethod
    def _remove(path):
        try:
            path.unlink()
        except OSError:
            pass


def archive(logs):
    made, left = io.BytesIO(), LOGS_AT_MOST
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=4) as tar:
        for name, text in logs.items():
            data = text.encode(errors="replace")[:max(left, 0)]
            left -= len(data)
            safe = "/".join("".join(c if c.isalnum() or c in " ._-+" else "-" for c in part)[:100].strip()
                            for part in name.split("/"))
            info = tarfile.TarInfo(f"logs/{safe}.txt")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def content(run, call):
    ours, torch = run.tables.get("ours", []), run.tables.get("torch", [])
    return {"call": call, "facts": run.facts, "stages": run.results,
            "comparison": comparison.table(run.sizes, ours, torch), **run.tables}


def number(x, form="{:.2f}"):
    return form.format(x) if isinstance(x, (int, float)) else ""


def markdown(told):
    lines = heading(told) + verdict(told)
    for section in (compared, one_step, steps, camvid, kernels, failures, benchmarks):
        try:
            lines += section(told)
        except Exception as e:  # a table that cannot be made is no reason to have none
            lines += ["", f"({section.__name__}: {type(e).__name__}: {e})"]
    return "\n".join(lines) + "\n"


def heading(told):
    f = told["facts"]
    dirty = ", with changes that are not committed" if f.get("dirty") else ""
    torch = f.get("torch") or {}
    lines = [f"# GPU report: {f.get('gpu', 'unknown GPU')}", "",
             f"Call {told['call']}, {f.get('date', '')}, commit {f.get('commit', 'unknown')}{dirty}. "
             "Written by `scripts/gpu-check`.", ""]
    lines += [f"- {line}" for line in f.get("psanet", [])]
    if f.get("psanet") is None or not any(line.startswith("device: CUDA") for line in f["psanet"]):
        lines.append("- **no CUDA device can be used: see psanet-info below**")
    lines.append(f"- PyTorch: {torch.get('torch', 'none, or not asked')}" +
                 (f", CUDA {torch.get('cuda')}, cuDNN {torch.get('cudnn')}" if torch else ""))
    lines.append(f"- {f.get('cores')} cores, {f.get('processor')}, load {f.get('load')}; {f.get('system')}, "
                 f"{f.get('libc')}, Python {f.get('python')}; {f.get('nvcc', 'no nvcc')}")
    return lines


def verdict(told):
    bad = [s["name"] for s in told["stages"] if s["result"] not in GOOD]
    lines = ["", "## Verdict", "", f"{len(told['stages'])} stages, of which {len(bad)} did not pass" +
             (": " + "; ".join(bad) if bad else "") + ".", "", "| stage | result | | seconds |", "|---|---|---|---|"]
    lines += [f"| {s['name']} | {s['result']} | {s.get('why', '')} | {s.get('seconds', '')} |" for s in told["stages"]]
    return lines


def failures(told):
    lines, shown = [], 0
    for stage in told["stages"]:
        for step in [stage, *stage["steps"]]:
            if step["result"] in GOOD or (step is stage and not stage.get("tail")):
                continue
            shown += 1
            if shown > 60:
                continue
            why = f" ({step['why']})" if step.get("why") else ""
            lines.append(f"- {stage['name']}: {step['name']}: **{step['result']}**{why}")
            if step.get("tail"):
                lines += ["", *("      " + t[:240] for t in step["tail"]), ""]
    more = [f"- and {shown - 60} more, in the JSON"] if shown > 60 else []
    skipped = [f"- {stage['name']}: {step['name']}: {step['result']} ({step.get('why', '')})" for stage in told["stages"]
               for step in stage["steps"] if step["result"] in ("skipped", "left out")]
    found = []
    if lines:
        found += ["", "## What did not pass", "", *lines, *more]
    if skipped:
        found += ["", "## Skipped and left out", "", *skipped]
    return found


def compared(told):
    rows = told.get("comparison")
    if not rows:
        return []
    lines = ["", "## Beside PyTorch, bf16", "", "Medians; above 1 psanet is faster.", "",
             "| work | psanet ms (fastest) | PyTorch's best, ms (fastest) | variant | ratio | psanet MiB | PyTorch MiB |",
             "|---|---|---|---|---|---|---|"]
    for r in rows:
        mine = f"{number(r['ours_ms'], '{:.3f}')} ({number(r['ours_min_ms'], '{:.3f}')})" if r["ours_ms"] else "not measured"
        peer = (f"{number(r['torch_ms'], '{:.3f}')} ({number(r['torch_min_ms'], '{:.3f}')})" if r.get("torch_ms")
                else "not measured")
        lines.append(f"| {r['work']} | {mine} | {peer} | {r.get('variant', '')} | {number(r.get('ratio'))} | "
                     f"{number(r.get('ours_MiB'), '{:.0f}')} | {number(r.get('torch_MiB'), '{:.0f}')} |")
    return lines


def one_step(told):
    return ["", "## One step beside PyTorch", "", *("    " + t for t in told["one step"])] if told.get("one step") else []


def steps(told):
    found = told.get("fifty steps")
    if not found:
        return []
    lines = ["", "## The same training twice", ""]
    for name, t in found.items():
        lines.append(f"- {name}: losses {', '.join(f'{x:.4f}' for x in t['loss'])}; median {number(t['median_ms'])} ms a step "
                     f"with loading, waited {number(t['data_wait_seconds'])} s for data; weights {t['weights']}")
    if len(found) == 2:
        same = found["once"]["weights"] == found["again"]["weights"]
        lines.append(f"- the same bits both times: {'yes' if same else '**NO**'}")
    return lines


def camvid(told):
    found = told.get("camvid")
    if not found:
        return []
    lines = ["", "## CamVid, from scratch", "", f"- {found['updates']} updates in {number(found['seconds'], '{:.0f}')} s, "
             f"waited {number(found['data_wait_seconds'])} s for data",
             f"- loss, every twentieth line: {', '.join(f'{x:.3f}' for x in found['loss'])}"]
    if found.get("scores"):
        scores = {k: v for k, v in found["scores"].items() if isinstance(v, (int, float, str))}
        lines.append("- val: " + ", ".join(f"{k} {number(v, '{:.4f}') or v}" for k, v in scores.items()))
    return lines


def kernels(told):
    return ["", "## Kernels of the recorded step", "", *("    " + t for t in told["kernels"])] if told.get("kernels") else []


def benchmarks(told):
    lines, ceilings = [], {}
    rows = told.get("ours", [])
    for r in rows:
        if r["name"].startswith("ceiling"):
            top = ceilings.setdefault(r["precision"], {})
            key = "GB/s" if "copy" in r["name"] else "GFLOP/s"
            top[key] = max(top.get(key, 0), r.get(key, 0))
    if rows:
        lines += ["", "## Our benchmarks", "", "Shares are of the copy and of the matrix product measured in the same run.", "",
                  "| benchmark | precision | median ms | fastest | TFLOP/s | share | GB/s | share | peak MiB |",
                  "|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        top = ceilings.get(r["precision"], {})

        def share(key):
            return f"{100 * r[key] / top[key]:.0f} %" if r.get(key) and top.get(key) else ""
        note = f" ({r['note']})" if r.get("note") else ""
        lines.append(f"| {r['name']}{note} | {r['precision']} | {number(r['median_ms'], '{:.3f}')} | {number(r['min_ms'], '{:.3f}')} | "
                     f"{r.get('GFLOP/s', 0) / 1e3:.2f} | {share('GFLOP/s')} | {r.get('GB/s', 0):.0f} | {share('GB/s')} | "
                     f"{r.get('peak_MiB', 0):.0f} |")
    if told.get("torch"):
        lines += ["", "## PyTorch", "", "| variant | what | median ms | fastest | peak MiB |", "|---|---|---|---|---|"]
    for r in told.get("torch", []):
        what = " ".join(str(r[k]) for k in ("name", "branch", "passes", "batch", "size", "mask") if k in r)
        lines.append(f"| {r['variant']} | {what} | {number(r['median_ms'], '{:.3f}')} | {number(r['min_ms'], '{:.3f}')} | "
                     f"{r.get('peak_mem_mb', '')} |")
    return lines


def essence(told):
    """What matters most, for the terminal."""
    return "\n".join(verdict(told)[3:4] + compared(told) + failures(told))


