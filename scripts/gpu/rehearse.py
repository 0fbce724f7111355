"""A borrowed machine, rehearsed: the kit packed with programs whose GPU is emulated, unpacked into an empty folder, and the
same driver in an empty environment without the source tree; then with faults. Every expectation that fails is a line."""

import io
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

from gpu import calls, cases, pack, processes, report, runner, stand_ins
from gpu.places import INJECTION

PATH = "/usr/bin:/bin"
SLEEP = 98761  # seconds: a number by which what is left of a hang is found


class Rehearsal:
    def __init__(self, root, folder):
        self.root, self.folder = root, pathlib.Path(folder)
        self.hidden = [root, root.parent / "shared"]
        self.failed = 0
        self.can_hide = self._privileged("true")

    def expect(self, true, text):
        if not true:
            self.failed += 1
            print(f"FAILED: {text}", flush=True)

    def _privileged(self, script):
        """Whether this process may have mounts of its own."""
        if not shutil.which("unshare"):
            return False
        test = f"mount -t tmpfs none {self.folder} && {script}"
        return subprocess.run(["unshare", "-m", "sh", "-c", test], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    # The kit

    def pack(self, binaries, short):
        """Into <folder>/there/.gpu, as scripts/gpu-kit does."""
        kit = self.folder / "packed" / "kit"
        pack.make_tree(self.root, binaries, kit, binaries.parent.parent,
                       may_be_missing=["test_nccl_device", "test_cudnn_plans"], say=lambda text: None)
        (kit / "reference").mkdir(exist_ok=True)
        (kit / "reference" / "bench_torch.py").write_text(stand_ins.BENCH_TORCH)
        (kit / "reference" / "psanet_torch.py").write_text("")
        (kit / "gpu" / "torch_step.py").write_text(stand_ins.TORCH_STEP)
        (kit / "lib" / INJECTION).write_text("")  # the emulation times its kernels itself
        manifest = json.loads((kit / "manifest.json").read_text())
        for name in (f"lib/{INJECTION}", "reference/bench_torch.py", "reference/psanet_torch.py",
                     "gpu/torch_step.py"):
            manifest["files"].pop(name, None)
        (kit / "manifest.json").write_text(json.dumps(manifest))
        (self.folder / "torch").mkdir()
        (self.folder / "torch" / "torch.py").write_text(stand_ins.TORCH)
        target = self.folder / "there" / ".gpu"
        target.mkdir(parents=True)
        pack.pack(pack.below(kit, "kit"), target / "kit.tar.xz", None if short else 1)
        golden = self.root.parent / "shared" / "golden"
        self.has_golden = golden.is_dir()
        if self.has_golden:
            pack.pack(pack.below(golden, "kit/golden"), target / "golden.tar.xz", None)
        self.has_camvid = self.pack_camvid(self.root.parent / "shared" / "datasets" / "camvid", target / "camvid.tar")
        shutil.rmtree(self.folder / "packed")

    def pack_camvid(self, camvid, target):
        """A few images of it."""
        if not (camvid / "lists").is_dir():
            return False
        small = self.folder / "camvid"
        for split, n in (("train", 4), ("val", 1)):
            lines = (camvid / "lists" / f"{split}.txt").read_text().splitlines()[:n]
            (small / "lists").mkdir(parents=True, exist_ok=True)
            (small / "lists" / f"{split}.txt").write_text("\n".join(lines) + "\n")
            for name in " ".join(lines).split():
                (small / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(camvid / name, small / name)
        pack.pack(pack.camvid_files(small), target, None)
        return True

    def unpacked(self):
        """A fresh kit to break something in; unpacked once, then linked."""
        first = self.folder / "unpacked"
        if not first.exists():
            for name in pack.ARCHIVES[1] + pack.ARCHIVES[2][1:]:
                archive = self.folder / "there" / ".gpu" / name
                if archive.is_file():
                    subprocess.run(["/usr/bin/python3", "-m", "tarfile", "-e", archive, first], check=True)
        made = tempfile.mkdtemp(dir=self.folder)
        shutil.copytree(first / "kit", pathlib.Path(made) / "kit", copy_function=os.link)
        return pathlib.Path(made) / "kit"

    # Runs

    def run(self, script, out, environment=None, limit=900, full_disk=False, stop_after=None):
        """A shell command with an empty environment and without the source tree. (exit code, what it said)."""
        e = {"PATH": PATH, "OUT": str(out), "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(self.folder / "torch"),
             **(environment or {})}
        (self.folder / "tmp").mkdir(exist_ok=True)
        mounts = ""
        if self.can_hide:
            mounts = "".join(f"mount -t tmpfs none '{h}' && " for h in self.hidden if h.is_dir())
            if full_disk:
                mounts += f"mount -t tmpfs -o size=4m none '{full_disk}' && mkdir '{full_disk}/out' '{full_disk}/tmp' && "
        elif full_disk:
            mounts = f"mkdir -p '{full_disk}/out' '{full_disk}/tmp' && ulimit -f 2048 && "  # a file's size in place of a disk's
        back = f"; code=$?; cp -r '{full_disk}/out' '{out}.copy'; exit $code" if full_disk else ""
        inside = f"{mounts} cd '{self.folder / 'there'}' && {{ {script}; }}{back}"
        command = (["unshare", "-m"] if self.can_hide else []) + ["/bin/sh", "-c", inside]
        process = subprocess.Popen(["env", "-i", *(f"{k}={v}" for k, v in e.items()), *command], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        if stop_after is not None:
            time.sleep(stop_after)
            for pid in self.processes("gpu-check --call"):
                os.kill(pid, signal.SIGTERM)
        try:
            text = process.communicate(timeout=limit)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text = process.communicate()[0].decode(errors="replace")
            self.expect(False, f"the driver was not at an end after {limit} s")
        return process.returncode, text

    @staticmethod
    def processes(words):
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode(errors="replace")
                if entry.isdigit() and words in line and "sh -c" not in line and int(entry) != os.getpid():
                    found.append(int(entry))
            except OSError:
                pass
        return found

    def told(self, name, out, said):
        """The report, if it is one: as few files as must be, readable, and nothing in it about this machine's tree."""
        files = sorted(out.iterdir()) if out.is_dir() else []
        self.expect(len(files) <= 8 and all(f.is_file() for f in files), f"{name}: files {[f.name for f in files]}")
        pages = [f for f in files if f.suffix == ".md"]
        self.expect(len(pages) == 1, f"{name}: no page in {[f.name for f in files]}; the driver's last words: {said[-500:]}")
        for file in files:
            if file.suffix in (".md", ".json", ".txt"):
                texts = [file.read_text()]
            else:
                with tarfile.open(file) as tar:
                    texts = [tar.extractfile(m).read().decode() for m in tar if m.isfile()]
            for text in texts:
                place = text.find(str(self.root) + "/")
                self.expect(place < 0, f"{name}: {file.name} mentions the source tree: {text[place:place + 100]}")
        data = [f for f in files if f.suffix == ".json"]
        self.expect(len(data) == 1, f"{name}: no JSON")
        try:
            found = json.loads(data[0].read_text())
        except (IndexError, ValueError):
            return {"stages": []}, ""
        return found, pages[0].read_text() if pages else ""

    def stages(self, name, found, page, wanted):
        """wanted: {stage: word}; all others passed or were left out."""
        results = {s["name"]: s for s in found["stages"]}
        for stage, word in wanted.items():
            result = results.get(stage, {"result": "not there"})
            self.expect(result["result"] == word, f"{name}: stage '{stage}' is {result['result']} "
                                                  f"({result.get('why', '')}), want {word}")
            self.expect(word in runner.GOOD or f"{stage}" in page and word in page, f"{name}: {stage} is not on the page")
        for stage, result in results.items():
            if stage not in wanted:
                steps = "; ".join(f"{s['name']}: {s['result']} {s.get('why', '')} {' | '.join(s.get('tail', [])[-3:])}"
                                  for s in result["steps"] if s["result"] not in runner.GOOD)
                self.expect(result["result"] == "passed", f"{name}: stage '{stage}' is {result['result']} "
                                                          f"({result.get('why', '')}): {steps}")

    def call(self, number, wanted):
        """A whole call, by the command that gpu-kit prints."""
        out = self.folder / f"call{number}"
        began = time.monotonic()
        code, said = self.run(pack.command(number, ".gpu") + " --rehearsal", out)
        found, page = self.told(f"call {number}", out, said)
        self.stages(f"call {number}", found, page, wanted)
        for stage in calls.of_call(number) if number < 3 else []:
            self.expect(stage.name in page, f"call {number}: no stage {stage.name}")
        print(f"call {number}: exit code {code}, {time.monotonic() - began:.0f} s", flush=True)
        return found, page, out

    def faulty(self, name, only, wanted, programs=(), missing=(), environment=None, change=None, full_disk=False,
               stop_after=None, complete=True):
        """gpu-check in a kit with faults: `programs` are replaced by scripts, `missing` removed."""
        began = time.monotonic()
        kit = self.unpacked()
        for program, text in programs:
            (kit / "bin" / program).unlink(missing_ok=True)
            (kit / "bin" / program).write_text(text)
            (kit / "bin" / program).chmod(0o755)
        for file in missing:
            (kit / file).unlink()
        if change:
            change(kit)
        # What was replaced on purpose is not as it was packed; only what is missing is told.
        manifest = json.loads((kit / "manifest.json").read_text())
        for program, _ in programs:
            manifest["files"].pop(f"bin/{program}", None)
        (kit / "manifest.json").unlink()
        (kit / "manifest.json").write_text(json.dumps(manifest))
        out = pathlib.Path(tempfile.mkdtemp(dir=self.folder)) / "out"
        words = " ".join(shlex.quote(w) for w in only)
        words += " --case-limit 4" if any("sleep" in text for _, text in programs) else ""
        where = f"TMPDIR='{full_disk}/tmp' OUT='{full_disk}/out'; export TMPDIR; " if full_disk else ""
        code, said = self.run(f"{where}/usr/bin/python3 '{kit}/gpu-check' --call 1 --rehearsal --output \"$OUT\" --only {words}",
                              out, environment, full_disk=full_disk, stop_after=stop_after)
        if full_disk:
            out = pathlib.Path(f"{out}.copy")
        found, page = self.told(name, out, said)
        if complete:
            self.stages(name, found, page, wanted)
        self.expect(code == 1 or not complete, f"{name}: exit code {code}, want 1")
        self.expect(not self.processes(f"sleep {SLEEP}"), f"{name}: something that hung is still there")
        for pid in self.processes(f"sleep {SLEEP}"):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(kit.parent)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        return found, page, said


# The parts alone

def check_parts(r):
    for number in (1, 2, 3):
        r.expect(sum(s.limit for s in calls.of_call(number)) <= 60 * calls.MINUTES < 600, f"call {number} does not fit")
    names = {s.name for n in (1, 2) for s in calls.of_call(n)}
    r.expect({s.name for s in calls.of_call(3, {n: set() for n in names})} <= names | {"PyTorch's inference"},
             "call 3 has stages that no other call has")
    libraries = {"program": (["libours.so.1", "libc.so.6"], []), "libours.so.1": (["libother.so", "libcudnn.so.9"], []),
                 "libother.so": (["libours.so.1"], [])}
    cache = {"libours.so.1": "libours.so.1", "libother.so": "libother.so"}
    r.expect(pack.closure(["program"], libraries.get, cache) == cache, "the closure of libraries")
    try:
        pack.closure(["program"], libraries.get, {"libours.so.1": "libours.so.1"})
        r.expect(False, "a library that is nowhere is no error")
    except pack.KitError as e:
        r.expect("libother.so" in str(e) and "libours.so.1" in str(e), f"a library that is nowhere: {e}")
    r.expect(cases.escaped("a, b [c]*") == "a\\, b \\[c\\]\\*", "names of cases are escaped")
    output = processes.Output()
    for i in range(3000):
        output.add(b"%07d\n" % i * 100)
    text = output.text()
    r.expect(text.startswith("0000000\n") and text.endswith("0002999\n") and len(text) < 2 * processes.KEPT + 100,
             "the beginning and the end of what is said are kept")
    ended = processes.run(["/bin/sh", "-c", "echo here; exec sleep 60"], dict(os.environ), r.folder, 0.5)
    r.expect(ended.verdict()[0] == "hung" and ended.text == "here\n" and ended.seconds < 10, f"a hang: {ended.verdict()}")
    made = report.archive({"a/../b: c": "text", "d": "\udcff"})
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        r.expect(all(m.name.startswith("logs/") for m in tar), "names in the archive of logs")
    r.expect(runner.worst(["passed", "hung", "failed"]) == "hung" and runner.worst([]) == "passed", "the worst word")
    page = report.markdown({"call": 1, "facts": {}, "stages": [], "comparison": [{"nonsense": 1}], "fifty steps": 5})
    r.expect("## Verdict" in page and "KeyError" in page, "a table that cannot be made is no reason to have none")


def check_faults(r, short):
    scenes, bench = "fifty steps", "our training step"
    own, kernels = "our own convolutions and products", "kernels beside the processor's"
    starts, ops = "every program starts", "ops, training and NCCL on the device"
    crash = ("psanet-bench", stand_ins.CRASH)
    hang = ("test_cuda", stand_ins.HANG.format(seconds=SLEEP))
    wrong = ("test_device", stand_ins.WRONG)
    if short:  # all at once, each in a stage of its own
        r.faulty("a crash, a hang, a missing file, a wrong exit code", [own, bench, ops, scenes, "PyTorch's attention"],
                 {own: "hung", bench: "crashed", ops: "failed", scenes + ", twice": "missing"}, [crash, hang, wrong],
                 ["bin/psanet-scenes"])
    else:
        r.faulty("a crash", [starts, bench, own], {starts: "crashed", bench: "crashed"}, [crash])
        r.faulty("a hang", [kernels, ops], {kernels: "hung"}, [hang])
        _, page, _ = r.faulty("a missing file", ["facts", starts, scenes, own],
                              {"facts": "missing", starts: "missing", scenes + ", twice": "missing"},
                              missing=["bin/psanet-scenes"])
        r.expect("psanet-scenes is missing" in page, "a missing file: not named")
        r.faulty("a wrong exit code", [ops, own], {ops: "failed"}, [wrong])
        r.faulty("output that cannot be read", [bench, own], {bench: "failed"}, [("psanet-bench", stand_ins.NONSENSE)])
        r.faulty("a fault in our own Python", [ops, own], {own: "broken"},
                 environment={"PSANET_GPU_CHECK_FAULT": own})

        def damage(kit):
            (kit / "share/psanet/models/psanet.json").unlink()
            (kit / "share/psanet/models/psanet.json").write_text("{")
        r.faulty("a damaged file", ["facts", own], {"facts": "failed"}, change=damage)
        r.faulty("programs that need a library that is not there", [starts, scenes],
                 {starts: "failed", scenes + ", twice": "failed"},
                 missing=[f"lib/{n}" for n in ("libpng16.so.16",)] if not os.path.exists("/lib/x86_64-linux-gnu/libpng16.so.16")
                 else [], programs=[("psanet-scenes", "#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n")])
        _, page, said = r.faulty("a signal to the driver", [kernels, ops], {}, [hang], stop_after=3, complete=False)
        r.expect("gpu-check" in page and "## Verdict" in page, f"a signal to the driver: no page; {said[-300:]}")
    disk = r.folder / "disk"
    disk.mkdir()
    full = stand_ins.FULL.format(file=disk / "filler")
    _, page, said = r.faulty("a full disk", [own, ops, scenes], {scenes + ", twice": "disk full"},
                             [("psanet-scenes", full)], full_disk=str(disk))
    r.expect("disk full" in said, "a full disk: not said on the terminal")


def main(root, binaries, short):
    if not (binaries / "psanet-train").is_file():
        print(f"SKIPPED: no emulated programs in {binaries} (scripts/build makes them where nvcc is)")
        return 0
    if not os.access("/usr/bin/python3", os.X_OK):
        print("SKIPPED: there is no /usr/bin/python3")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="psanet-rehearsal-") as folder:
        r = Rehearsal(root, folder)
        if not r.can_hide:
            print("the source tree is not hidden (that needs root): outputs are only searched for its name", flush=True)
        check_parts(r)
        r.pack(binaries, short)
        print(f"packed: {time.monotonic() - began:.0f} s", flush=True)
        left_out = {"what is proposed for PSANet-50": "left out"}  # the real cuDNN is asked, and it wants a GPU
        if not r.has_golden:
            left_out["golden networks and layers"] = "left out"
        graph = {"PyTorch's training step": "failed"}  # the stand-in has a variant that fails
        found, page, out = r.call(1, {**left_out, **graph})
        r.expect("| 2.000 (1.000) |" in page and found["comparison"][0].get("ratio"), "call 1: no comparison on the page")
        r.expect(sum(s["result"] == "failed" for t in found["stages"] for s in t["steps"]) == 1,
                 "call 1: more failed than the one variant of PyTorch")
        if not short:
            for name in ("algorithms.txt", next((f.name for f in out.glob("*.json")), "")):
                if (out / name).is_file():
                    shutil.copyfile(out / name, r.folder / "there" / ".gpu" / name)
            more = {"worst kernels under ncu": "left out", "compute-sanitizer": "left out"}
            if not r.has_camvid:
                more["CamVid, trained and scored"] = "left out"
            found, page, _ = r.call(2, more)
            # The emulation knows that a kernel is one of ours, not its name.
            r.expect("| `cuda_emulator::launch` |" in page, "call 2: no table of kernels")
            if r.has_camvid:
                r.expect("mIoU" in page, "call 2: CamVid has no scores")
            found, page, _ = r.call(3, graph)
            r.expect(not any("golden" in s["name"] for s in found["stages"]), "call 3 repeats what passed")
        check_faults(r, short)
        word = f"{r.failed} expectations failed" if r.failed else "everything as expected"
        print(f"rehearsal: {word}, {time.monotonic() - began:.0f} s")
    return 1 if r.failed else 0


