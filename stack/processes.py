"""The processes we start: each in a group of its own, with a log of its own, all ended together with their children."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from erpflow.errors import ErpflowError

PR_SET_CHILD_SUBREAPER: Final = 36
GRACE_S: Final = 15.0
TAIL_LINES: Final = 12
POLL_S: Final = 0.05
PROC: Final = Path("/proc")


class ProcessEnded(ErpflowError):
    """A process ended that should have kept running, or failed at its one job."""


@dataclass(frozen=True, slots=True)
class Command:
    """One process to start: `module` is what `python -m` would run, `log` gets everything it prints.

    `preload` names modules to import first; a `gated` process then waits until `Processes.open_gate`.
    `one_job`: it is meant to end, with status 0. `patience_s`: how long it may take to end when asked.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    preload: tuple[str, ...] = ()
    gated: bool = False
    one_job: bool = False
    patience_s: float = GRACE_S

    def line(self) -> list[str]:
        """The command line."""
        options = ["--parent", str(os.getpid())]
        options += ["--preload", ",".join(self.preload)] if self.preload else []
        options += ["--gate"] if self.gated else []
        return [sys.executable, "-m", "stack.child", *options, self.module, *self.arguments]


class Processes:
    """All processes of one run. Start them from the main thread: they end when the thread that started them ends."""

    def __init__(self, *, cwd: Path, secrets: Sequence[str] = ()) -> None:
        """`cwd` is where they run; `secrets` are values that must not be shown when we quote a log."""
        self._cwd = cwd
        self._secrets = tuple(secret for secret in secrets if secret)
        self._running: dict[str, tuple[Command, subprocess.Popen[bytes]]] = {}
        _adopt_orphans()

    def start(self, command: Command) -> None:
        """Start one process; its earlier log is replaced."""
        command.log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = subprocess.Popen(
                command.line(),
                cwd=self._cwd,
                env=dict(command.environment),
                stdin=subprocess.PIPE if command.gated else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
            )
        finally:
            os.close(log)
        self._running[command.name] = (command, process)

    def open_gate(self, name: str) -> None:
        """Let a gated process go on."""
        _, process = self._running[name]
        if process.stdin is not None:
            with suppress(BrokenPipeError):  # it has died; `check` tells
                process.stdin.write(b"go\n")
                process.stdin.close()

    def pid(self, name: str) -> int:
        """The process id of a process we started."""
        return self._running[name][1].pid

    def finished(self, name: str) -> bool:
        """Whether a process with one job has done it; raises ProcessEnded when it failed."""
        command, process = self._running[name]
        status = process.poll()
        if status is None:
            return False
        if status != 0:
            raise self._ended(command, status)
        del self._running[name]
        return True

    def check(self) -> None:
        """Raise ProcessEnded when one of the processes is gone that should be there."""
        for command, process in self._running.values():
            status = process.poll()
            if status is not None and not (command.one_job and status == 0):
                raise self._ended(command, status)

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """End all of them and everything they started: politely first, by force after `grace_s` seconds at most."""
        asked = time.monotonic()
        for _, process in self._running.values():
            _signal(process.pid, signal.SIGTERM)
        waiting = list(self._running.values())
        while waiting:
            waiting = [(command, process) for command, process in waiting if process.poll() is None]
            for command, process in waiting:
                if time.monotonic() - asked > min(grace_s, command.patience_s):
                    _signal(process.pid, signal.SIGKILL)
            time.sleep(POLL_S)
        # A task leaves its group but not its session, so the session finds those who outlived their parents.
        sessions = {process.pid for _, process in self._running.values()}
        for pid in _members(sessions):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _, process in self._running.values():
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        while time.monotonic() - asked < grace_s + GRACE_S and _members(sessions):
            reap_orphans()
            time.sleep(POLL_S)
        self._running.clear()

    def reap(self) -> None:
        """Collect the dead that fell to us when their own parent died."""
        reap_orphans(known=[process.pid for _, process in self._running.values()])

    def _ended(self, command: Command, status: int) -> ProcessEnded:
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return ProcessEnded(
            f"{command.name} {how}. The last lines it wrote:\n{self._tail(command.log)}\nThe whole log: {command.log}"
        )

    def _tail(self, log: Path) -> str:
        try:
            with log.open("rb") as handle:
                handle.seek(max(0, log.stat().st_size - 20_000))
                text = handle.read().decode(errors="replace")
        except OSError:
            text = ""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def reap_orphans(*, known: Sequence[int] = ()) -> None:
    """Collect the dead among the processes that fell to us when their own parent died, except the `known` ones."""
    for pid in _pids():
        if pid not in known and _is_ours(pid):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _adopt_orphans() -> None:
    # A grandchild whose parent dies falls to us instead of to process 1, which in a container reaps nobody.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _members(sessions: set[int]) -> list[int]:
    """The processes of these sessions, dead ones that nobody collected included."""
    found = []
    for pid in _pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) in sessions:
                found.append(pid)
    return found


def _pids() -> list[int]:
    """Every process of this machine."""
    if PROC.exists():
        return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _is_ours(pid: int) -> bool:
    """Whether `pid` is a child of this process; only Linux gives us the children of others."""
    try:
        # The name in parentheses may hold anything, so fields are counted from its end: state, parent.
        fields = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[1]) == os.getpid()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
