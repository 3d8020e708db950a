"""What a person sees while the demo starts: one line per step, live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

WIDTH = 22


class Progress(Protocol):
    """Steps may overlap. A step that was begun ends by `done`, or by `failed` when what it did raised."""

    def begin(self, step: str) -> None: ...

    def tell(self, step: str, detail: str) -> None: ...

    def done(self, step: str, detail: str = "") -> None: ...

    def failed(self, step: str) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


@contextmanager
def step(progress: Progress, name: str) -> Iterator[None]:
    """One step around a block."""
    progress.begin(name)
    try:
        yield
    except BaseException:
        progress.failed(name)
        raise
    progress.done(name)


def progress_for(console: Console) -> Progress:
    """Live lines on a terminal, plain lines in a log."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class PlainProgress:
    """One line when a step ends, none in between: a log is read afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started: dict[str, float] = {}

    def begin(self, step: str) -> None:
        self._started[step] = time.monotonic()

    def tell(self, step: str, detail: str) -> None:
        """Passing states are for those who watch."""

    def done(self, step: str, detail: str = "") -> None:
        self._line("ok", step, detail)

    def failed(self, step: str) -> None:
        self._line("failed", step, "")

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        sys.stdout.flush()

    def _line(self, state: str, step: str, detail: str) -> None:
        seconds = time.monotonic() - self._started.pop(step, time.monotonic())
        self.note(f"{state:6} {step:{WIDTH}} {seconds:6.1f} s  {detail}".rstrip())


class LiveProgress:
    """All steps as a list that changes in place."""

    def __init__(self, console: Console) -> None:
        self._steps: dict[str, _Row] = {}
        self._live = Live(console=console, refresh_per_second=10, get_renderable=self._render)
        self._live.start()

    def begin(self, step: str) -> None:
        self._steps[step] = _Row()

    def tell(self, step: str, detail: str) -> None:
        if step in self._steps:
            self._steps[step].detail = detail

    def done(self, step: str, detail: str = "") -> None:
        self._end(step, Text("✓", style="green"), detail)

    def failed(self, step: str) -> None:
        self._end(step, Text("✗", style="red"), "")

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()

    def _end(self, step: str, sign: Text, detail: str) -> None:
        row = self._steps.setdefault(step, _Row())
        row.sign, row.detail, row.seconds = sign, detail, time.monotonic() - row.started

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, row in self._steps.items():
            seconds = time.monotonic() - row.started if row.seconds is None else row.seconds
            grid.add_row(row.sign or row.spinner, f"{name:{WIDTH}}", f"{seconds:5.1f} s", Text(row.detail, style="dim"))
        return grid


class _Row:
    """One step on the screen; `seconds` once it has ended."""

    def __init__(self: Self) -> None:
        self.started = time.monotonic()
        self.spinner = Spinner("dots", style="cyan")
        self.sign: Text | None = None
        self.detail = ""
        self.seconds: float | None = None
