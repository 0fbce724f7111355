"""Commands in process groups of their own: with a limit, bounded output, and nothing of theirs left behind."""

import errno
import itertools
import os
import signal
import subprocess
import threading
import time

KEPT = 128 * 1024  # bytes of a command's output that are kept from its beginning, and as many from its end
MARK = "PSANET_GPU_CHECK_PROCESS"  # environment variable that a command's children inherit, also those in new sessions
FULL = ["No space left on device", "File too large", "File size limit exceeded", "Disk quota exceeded"]
_numbers = itertools.count()
_running = set()


class Output:
    """The beginning and the end of what a command says."""

    def __init__(self):
        self.begin, self.end, self.total = b"", b"", 0

    def add(self, data):
        self.total += len(data)
        room = KEPT - len(self.begin)
        self.begin += data[:room]
        self.end = (self.end + data[room:])[-KEPT:]

    def text(self):
        cut = self.total - len(self.begin) - len(self.end)
        middle = f"\n[... {cut} bytes left out ...]\n".encode() if cut > 0 else b""
        return (self.begin + middle + self.end).decode(errors="replace")


class Ended:
    """How a command ended."""

    def __init__(self, text, seconds, code=None, problem="", why=""):
        self.text, self.seconds, self.code = text, seconds, code
        self.problem = problem  # "missing", "hung", "not started", or nothing: it ended by itself
        self.why = why

    def verdict(self):
        """(one word, why)."""
        if self.problem:
            return self.problem, self.why
        if self.code == 0:
            return "passed", ""
        if any(words in self.text for words in FULL):
            return "disk full", f"exit code {self.code}"
        if self.code < 0:
            try:
                return "crashed", signal.Signals(-self.code).name
            except ValueError:
                return "crashed", f"signal {-self.code}"
        return "failed", f"exit code {self.code}"


class Process:
    """A command that runs."""

    def __init__(self, command, environment, folder):
        self.began = time.monotonic()
        self.name = os.path.basename(str(command[0]))
        self.mark = f"{os.getpid()}-{next(_numbers)}"
        self.output = Output()
        self.paused, self.paused_since = 0.0, None
        self.popen = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, env={**environment, MARK: self.mark}, cwd=str(folder),
                                      start_new_session=True)
        _running.add(self)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with self.popen.stdout as pipe:
            while True:
                data = pipe.read1(65536)
                if not data:
                    return
                self.output.add(data)

    def seconds(self):
        """Without the time that it stood still for others."""
        now = time.monotonic()
        return now - self.began - self.paused - (now - self.paused_since if self.paused_since else 0)

    def everybody(self):
        """Process ids: the command, its children, and theirs."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/environ", "rb") as f:
                        if wanted in f.read().split(b"\0"):
                            found.append(int(entry))
                except OSError:
                    pass  # gone, a zombie, or another user's
        return found

    def signal(self, number):
        try:
            os.killpg(self.popen.pid, number)
        except (ProcessLookupError, PermissionError):
            pass
        for process in self.everybody():
            try:
                os.kill(process, number)
            except OSError:
                pass

    def pause(self):
        self.paused_since = time.monotonic()
        self.signal(signal.SIGSTOP)

    def resume(self):
        if self.paused_since is None:
            return
        self.signal(signal.SIGCONT)
        self.paused += time.monotonic() - self.paused_since
        self.paused_since = None

    def wait(self, limit, grace=2.0):
        """Until it ends, or is ended: first asked (programs say where they are, training saves), then killed."""
        problem, why = "", ""
        while True:
            try:
                self.popen.wait(timeout=min(0.5, max(0.01, limit - self.seconds())))
                break
            except subprocess.TimeoutExpired:
                if self.seconds() >= limit and not self.paused_since:
                    problem, why = "hung", f"not at an end after {limit:.0f} s"
                    break
        if problem:
            self.signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout=grace)
            except subprocess.TimeoutExpired:
                pass
        if not self._end_everybody():
            why += ", and cannot be killed"
        _running.discard(self)
        self.reader.join(timeout=2)
        return Ended(self.output.text(), self.seconds(), self.popen.returncode, problem, why)

    def _end_everybody(self):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if self.popen.poll() is not None and not self.everybody():
                return True
            self.signal(signal.SIGKILL)
            try:
                self.popen.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                pass
        return False


def end_all():
    """Of whoever is ended himself: nothing stays behind."""
    for process in list(_running):
        process.resume()
        process._end_everybody()
        _running.discard(process)


def start(command, environment, folder):
    """A Process, or Ended if there is nothing to start."""
    try:
        return Process(command, environment, folder)
    except FileNotFoundError:
        return Ended("", 0.0, problem="missing", why=f"there is no {os.path.basename(str(command[0]))}")
    except OSError as e:
        word = "disk full" if e.errno == errno.ENOSPC else "not started"
        return Ended("", 0.0, problem=word, why=f"{os.path.basename(str(command[0]))}: {e.strerror}")


def run(command, environment, folder, limit, grace=2.0):
    process = start(command, environment, folder)
    return process if isinstance(process, Ended) else process.wait(limit, grace)
