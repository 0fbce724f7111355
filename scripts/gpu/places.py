"""Where things are: in an unpacked kit, or in a source tree with a build."""

import glob
import hashlib
import json
import os
import pathlib
import sys

PROGRAMS = ["psanet-train", "psanet-eval", "psanet-predict", "psanet-visualize", "psanet-report", "psanet-info",
            "psanet-run", "psanet-data", "psanet-scenes", "psanet-bench"]
TESTS = ["test_cuda", "test_device", "test_nccl_device", "test_models", "test_layers", "test_cudnn_plans"]
INJECTION = "libpsanet_kernel_times.so"  # times every kernel, also inside recordings (CUPTI)


def wheel_libraries():
    """The lib folders of NVIDIA's Python wheels: cuDNN, cuBLASLt, NCCL, ..."""
    folders = []
    for entry in sys.path:
        folders += sorted(glob.glob(os.path.join(entry or ".", "nvidia", "*", "lib")))
    return folders


def toolkit_libraries():
    """Of a CUDA toolkit: behind everything else."""
    return [p for pattern in ("/usr/local/cuda/lib64", "/usr/local/cuda/extras/CUPTI/lib64") for p in glob.glob(pattern)]


class Places:
    def __init__(self, root, binaries=None, beside=None):
        root = pathlib.Path(root)
        self.kit = (root / "manifest.json").is_file()
        self.root = root
        self.modules = root / "gpu" if self.kit else root / "scripts" / "gpu"
        self.bin = pathlib.Path(binaries).resolve() if binaries else root / ("bin" if self.kit else "build/release/bin")
        self.lib = root / "lib" if self.kit else self.bin.parent / "lib"
        shared = root.parent / "shared"
        self.reference = root / "reference" if self.kit else shared / "reference"
        self.golden = root / "golden" if self.kit else shared / "golden"
        self.camvid = root / "camvid" if self.kit else shared / "datasets" / "camvid"
        self.beside = pathlib.Path(beside).resolve() if beside else root.parent
        self.manifest = {}
        if self.kit:
            try:
                self.manifest = json.loads((root / "manifest.json").read_text())
            except (OSError, ValueError):
                pass

    def injection(self):
        for folder in (self.lib, self.bin, self.bin.parent):
            if (folder / INJECTION).is_file():
                return folder / INJECTION
        return None

    def damaged(self):
        """What of the kit is not as it was packed."""
        found = []
        for name, facts in self.manifest.get("files", {}).items():
            try:
                data = (self.root / name).read_bytes()
                if hashlib.sha256(data).hexdigest() != facts["sha256"]:
                    found.append(f"{name} is damaged")
            except OSError:
                found.append(f"{name} is missing")
        return found

    def environment(self, **more):
        """For our programs. PyTorch's processes get the untouched one: it brings its own libraries."""
        e = dict(os.environ, OMP_WAIT_POLICY="passive")
        libraries = [str(self.lib)] if self.kit else []
        libraries += wheel_libraries() + [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
        if self.kit:
            libraries += toolkit_libraries()
        if libraries:
            e["LD_LIBRARY_PATH"] = ":".join(libraries)
        if self.kit:
            e["PSANET_HOME"] = str(self.root / "share" / "psanet")
        if self.kit or self.golden.is_dir():
            e["PSANET_GOLDEN"] = str(self.golden)
        e.update({k: str(v) for k, v in more.items()})
        return e
