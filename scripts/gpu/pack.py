"""The kit: programs and what they need, in archives that are small enough to travel."""

import datetime
import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from gpu.places import INJECTION, PROGRAMS, TESTS

LIMIT = 60 * 1024 * 1024  # bytes that travel in one call, the source tree among them
DICTIONARY = 64 * 1024 * 1024  # the programs share most of their code: they must lie in one window

# What the other machine must have: the C and C++ libraries, the driver, and NVIDIA's libraries (as wheels or installed).
TARGET_HAS = re.compile(r"""(
    ld-linux-x86-64 | libc | libm | libmvec | libdl | librt | libpthread | libresolv | libutil | libstdc\+\+ | libgcc_s |
    libcuda | libcublas | libcublasLt | libcudnn\w* | libnccl | libcupti | libnvrtc\S* | libnvJitLink
    )\.so(\.\d+)*""", re.VERBOSE)

# In place of these the kit has a library of the same functions that only say so. libarchive writes submissions to test
# servers, which nobody does there; with what it needs it would be a third of the kit, and it alone wants glibc 2.36.
STOOD_IN_FOR = ["libarchive.so.13"]

RUN_TIME = [("models", "*.json"), ("apps/recipes", "*.json"), ("data", "*.json"), ("tests/layers/cases", "*.json"),
            ("tests/cudnn_plans", "*.json")]


class KitError(Exception):
    """One line for people."""


def tool(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise KitError(f"{' '.join(str(c) for c in command[:3])}: {done.stderr.decode().strip().splitlines()[-1:]}")
    return done.stdout.decode(errors="replace")


# Shared libraries

def dynamic(path):
    """(NEEDED, RUNPATH) of a program or library."""
    needed, places = [], []
    for line in tool("readelf", "-d", path).splitlines():
        found = re.search(r"\((NEEDED|RUNPATH|RPATH)\).*\[(.*)\]", line)
        if found and found.group(1) == "NEEDED":
            needed.append(found.group(2))
        elif found:
            places += found.group(2).replace("$ORIGIN", str(pathlib.Path(path).parent)).split(":")
    return needed, places


def loader_cache():
    """{name: path}: what the loader knows."""
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    cache = {}
    for line in tool(program, "-p").splitlines():
        found = re.match(r"\s*(\S+) \((.*)\) => (\S+)", line)
        if found and "x86-64" in found.group(2):
            cache.setdefault(found.group(1), found.group(3))
    return cache


def closure(paths, read=dynamic, cache=None):
    """{name: path} of the libraries that must travel; KitError names what is nowhere."""
    cache = loader_cache() if cache is None else cache
    found, open_ = {}, [(p, p) for p in paths]
    while open_:
        path, asked_by = open_.pop()
        needed, places = read(path)
        for name in needed:
            if name in found or name in STOOD_IN_FOR or TARGET_HAS.fullmatch(name):
                continue
            here = next((os.path.join(p, name) for p in places if p and os.path.isfile(os.path.join(p, name))),
                        cache.get(name))
            if not here:
                raise KitError(f"{name}, which {os.path.basename(str(asked_by))} needs, is neither here nor among what the "
                               "other machine has")
            found[name] = here
            open_.append((here, here))
    return found


def stand_in(name, programs, target):
    """The library `target` with the functions of `name` that the programs ask for. False: none needs it."""
    users = [p for p in programs if name in dynamic(p)[0]]
    if not users:
        return False
    prefix = name.split(".")[0].removeprefix("lib") + "_"
    functions = sorted({word for p in users for word in tool("nm", "-D", "--undefined-only", p).split()
                        if word.startswith(prefix)})
    source = ["#include <stdio.h>", "#include <stdlib.h>", "#include <unistd.h>"]
    source += [f'void {f}(void) {{ fputs("error: this kit comes without {name}\\n", stderr); _exit(6); }}' for f in functions]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
        file.write("\n".join(source) + "\n")
        file.flush()
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            raise KitError("no C compiler")
        tool(compiler, "-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{name}", "-o", target, file.name)
    return True


def oldest_system(paths):
    """The newest symbol versions that are asked for: the other machine's C and C++ libraries must have them."""
    newest = {}
    for path in paths:
        for family, version in re.findall(r"Name: (GLIBC|GLIBCXX|CXXABI)_([0-9.]+)", tool("readelf", "-V", path)):
            key = tuple(int(x) for x in version.split("."))
            newest[family] = max(newest.get(family, ()), key)
    return {family: ".".join(map(str, key)) for family, key in sorted(newest.items())}


# The tree

def build(root, folder):
    """The portable build: for any x86-64, one GPU architecture, only what travels."""
    configure = ["cmake", "-S", root, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DPSANET_NATIVE=OFF",
                 "-DPSANET_GLOO=OFF", "-DPSANET_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=90"]
    log = subprocess.run([str(c) for c in configure], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if log.returncode != 0:
        raise KitError("cmake: " + log.stdout.decode(errors="replace").strip()[-600:])
    targets = PROGRAMS + TESTS
    known = tool("ninja", "-C", folder, "-t", "targets", "all")
    if re.search(r"^psanet_kernel_times:", known, re.MULTILINE):
        targets = targets + ["psanet_kernel_times"]
    command = ["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1), "--target", *targets]
    if subprocess.run([str(c) for c in command]).returncode != 0:
        raise KitError("the build failed (see above)")


def git(root, *arguments):
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
    except OSError:
        return ""


def source_bytes(root):
    """Of the files that git tracks, and of those that it neither tracks nor ignores: they travel too."""
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sum((root / n).lstat().st_size for n in names if n and os.path.lexists(root / n))


def flags(folder):
    """What the build was made with."""
    wanted = ("PSANET_NATIVE", "PSANET_GLOO", "PSANET_CUDA", "CMAKE_CUDA_ARCHITECTURES", "CMAKE_BUILD_TYPE")
    found = {}
    try:
        for line in (pathlib.Path(folder) / "CMakeCache.txt").read_text().splitlines():
            name, _, value = line.partition("=")
            if name.split(":")[0] in wanted:
                found[name.split(":")[0]] = value
    except OSError:
        pass
    return found


def copy(source, target, executable=False):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if executable else 0o644)


def stripped(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    tool("strip", "-o", target, source)
    target.chmod(0o755)


def make_tree(root, binaries, kit, build_folder, may_be_missing=(), say=print):
    """Fills the folder `kit`. Returns the manifest."""
    binaries = pathlib.Path(binaries)
    missing = [p for p in PROGRAMS + TESTS if not (binaries / p).is_file() and p not in may_be_missing]
    if missing:
        raise KitError(f"{', '.join(missing)}: not in {binaries}; a kit without them would be half a kit")
    programs = [p for p in PROGRAMS + TESTS if (binaries / p).is_file()]
    files = [binaries / p for p in programs]
    injection = next((f / INJECTION for f in (binaries, binaries.parent / "lib", *binaries.parent.glob("*"))
                      if (f / INJECTION).is_file()), None)
    if injection:
        files.append(injection)
    else:
        say(f"LEFT OUT: {INJECTION}: the second call will not know the time of every kernel")
    libraries = closure(files)
    for program in programs:
        stripped(binaries / program, kit / "bin" / program)
    for name, path in libraries.items():
        stripped(os.path.realpath(path), kit / "lib" / name)
    for name in STOOD_IN_FOR:
        stand_in(name, files, kit / "lib" / name)
    if injection:
        stripped(injection, kit / "lib" / INJECTION)
    for folder, pattern in RUN_TIME:
        for file in sorted((root / folder).rglob(pattern)):
            copy(file, kit / "share" / "psanet" / file.relative_to(root))
    copy(root / "scripts" / "gpu-check", kit / "gpu-check", executable=True)
    for file in sorted((root / "scripts" / "gpu").glob("*.py")):
        copy(file, kit / "gpu" / file.name)
    shared = root.parent / "shared"
    for name in ("bench_torch.py", "psanet_torch.py"):
        if (shared / "reference" / name).is_file():
            copy(shared / "reference" / name, kit / "reference" / name)
        else:
            say(f"LEFT OUT: {name} of PyTorch's peer: there will be no comparison with PyTorch")
    manifest = {
        "commit": git(root, "rev-parse", "--short", "HEAD").strip() or "unknown",
        "dirty": bool(git(root, "status", "--porcelain").strip()),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "build": flags(build_folder),
        "needs": oldest_system([kit / "bin" / p for p in programs] + [kit / "lib" / n for n in libraries]),
        "files": {str(f.relative_to(kit)): {"sha256": hashlib.sha256(f.read_bytes()).hexdigest(), "bytes": f.stat().st_size}
                  for f in sorted(kit.rglob("*")) if f.is_file()},
    }
    (kit / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


# Archives

def plain(info):
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def order(name):
    """Programs beside programs, libraries beside libraries: what is alike lies close."""
    return (name.split("/")[0], name)


def pack(files, path, preset=9):
    """files: [(path here, name there)]. xz as one stream; preset None: not compressed."""
    new = path.with_name(path.name + ".new")
    try:
        if preset is None:
            with tarfile.open(new, "w") as tar:
                for here, there in files:
                    tar.add(here, there, recursive=False, filter=plain)
        else:
            filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": DICTIONARY}]
            with lzma.open(new, "wb", format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters) as stream:
                with tarfile.open(fileobj=stream, mode="w|") as tar:
                    for here, there in files:
                        tar.add(here, there, recursive=False, filter=plain)
        os.replace(new, path)
    finally:
        if new.exists():
            new.unlink()


def below(folder, prefix):
    return sorted(((f, f"{prefix}/{f.relative_to(folder)}") for f in pathlib.Path(folder).rglob("*") if f.is_file()),
                  key=lambda pair: order(pair[1]))


def camvid_files(camvid):
    """What training and scoring read: train and val; the test images would double it."""
    found = [(camvid / n, f"kit/camvid/{n}") for n in ("names.txt", "colors.txt") if (camvid / n).is_file()]
    for split in ("train", "val"):
        found.append((camvid / "lists" / f"{split}.txt", f"kit/camvid/lists/{split}.txt"))
        for kind in ("images", "labels"):
            found += [(f, f"kit/camvid/{kind}/{split}/{f.name}") for f in sorted((camvid / kind / split).iterdir())]
    return found


# Of golden: what test_models and test_layers read.
GOLDEN_NOT = {"README.md", "NOTES.md"}
ARCHIVES = {1: ["kit.tar.xz", "golden.tar.xz"], 2: ["kit.tar.xz", "camvid.tar"], 3: ["kit.tar.xz", "golden.tar.xz"]}


def command(call, folder):
    """For a shell in the folder that has the files. An archive that is damaged costs what is in it."""
    return (f'd=$(mktemp -d) && for a in {" ".join(f"{folder}/{a}" for a in ARCHIVES[call])}; do [ -f $a ] && '
            f'{{ python3 -m tarfile -e $a "$d" || echo "cannot be unpacked: $a"; }}; done; '
            f'python3 "$d/kit/gpu-check" --call {call} --beside {folder} --output "${{OUT:?a folder for the report}}"')


def make(root, build_folder, target, say=print, preset=9):
    """Archives in the folder `target`, and what was left out, said."""
    root, target = pathlib.Path(root), pathlib.Path(target)
    target.mkdir(exist_ok=True)
    shared = root.parent / "shared"
    with tempfile.TemporaryDirectory() as folder:
        kit = pathlib.Path(folder) / "kit"
        manifest = make_tree(root, pathlib.Path(build_folder) / "bin", kit, build_folder, say=say)
        pack(below(kit, "kit"), target / "kit.tar.xz", preset)
    if (shared / "golden").is_dir():
        pack([(f, n) for f, n in below(shared / "golden", "kit/golden") if f.name not in GOLDEN_NOT],
             target / "golden.tar.xz", preset)
    else:
        (target / "golden.tar.xz").unlink(missing_ok=True)
        say("LEFT OUT: golden numbers (../shared/golden is not there): networks will not be compared with them")
    if (shared / "datasets" / "camvid" / "lists").is_dir():
        pack(camvid_files(shared / "datasets" / "camvid"), target / "camvid.tar", None)
    else:
        (target / "camvid.tar").unlink(missing_ok=True)
        say("LEFT OUT: CamVid (../shared/datasets/camvid is not there): no network will be trained whole")
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def sets(root, target):
    """{call: (names of the files that go along, bytes with the source tree)}."""
    target = pathlib.Path(target)
    found = {}
    for call, names in ARCHIVES.items():
        names = [n for n in names if (target / n).is_file()]
        if (target / "algorithms.txt").is_file():
            names.append("algorithms.txt")
        if call == 3:
            names += sorted(f.name for f in target.glob("*-call[12].json"))
        found[call] = (names, sum((target / n).stat().st_size for n in names) + source_bytes(pathlib.Path(root)))
    return found
