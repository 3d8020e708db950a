"""Runs one contestant as a fresh process and measures it from outside."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our pins

from bench import job

_SAMPLE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One load. `seconds` is the job alone, `process_seconds` with interpreter start and imports.

    `peak_mib` is the larger of what the process says of itself and the sampled sum over it and its children (pages
    they share counted in each); Postgres and the source server are not in it.
    """

    seconds: float
    process_seconds: float
    peak_mib: float
    notes: dict[str, Any]


class ContestantFailed(Exception):
    """A contestant ended without an answer; the message holds the tail of what it printed."""


def run(command: Sequence[str | Path], task: job.Job, *, cwd: Path, env: Mapping[str, str]) -> Measured:
    """Starts `command` with the task as its last argument and waits for its answer. Raises ContestantFailed."""
    with TemporaryFile() as output:
        started = perf_counter()
        process = psutil.Popen(
            [*map(str, command), task.argument()],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **env},
        )
        sampler = _TreeMemory(process)
        status: int | None = None
        try:
            status = process.wait()
        finally:
            seconds = perf_counter() - started
            tree_peak_mib = sampler.stop()
            if status is None:
                _end(process)
        output.seek(0)
        text = output.read().decode(errors="replace")
    answer = job.parse(text)
    if status != 0 or answer is None:
        raise ContestantFailed(f"{' '.join(map(str, command))} ended with status {status}:\n{text[-4000:]}")
    return Measured(answer.seconds, seconds, max(answer.peak_mib, tree_peak_mib), answer.notes)


def _end(process: psutil.Process) -> None:
    """Ends a contestant and what it started: the race was stopped."""
    try:
        tree = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for each in tree:
        with suppress(psutil.Error):
            each.kill()
    process.wait()


class _TreeMemory:
    """Samples the resident memory of a process and its descendants until it is stopped."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """The highest sum seen, in MiB."""
        self._done.set()
        self._thread.join()
        return self._peak / 2**20

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return
            self._peak = max(self._peak, sum(map(_resident, tree)))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
