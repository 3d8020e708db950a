"""`make demo`: a whole erpflow on this machine, its first syncs, and what they did."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import requests
from rich.console import Console

from erpflow.errors import ConfigError, ErpflowError
from erpflow.store.cipher import FERNET_VARIABLE
from erpflow.store.database import URL_VARIABLE
from erpflow.store.vault import METADATA_VARIABLE
from stack import demo_merge, demo_syncs, outcome
from stack.bring_up import Stack
from stack.demo_systems import System, chosen
from stack.keys import ADMIN
from stack.lock import announce, only_demo
from stack.outcome import Outcome
from stack.ports import exactly, first_free
from stack.progress import Progress, progress_for, step

DEFAULT_PORT: Final = 8080
WATCH_S: Final = 0.5
REMEMBERED: Final = (URL_VARIABLE, METADATA_VARIABLE, FERNET_VARIABLE, "ERPFLOW_LANDING_URI", "ERPFLOW_MAPPINGS")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `port` None: 8080, or the first free one above it. `then` is "serve" or "exit".

    `systems`: the names of those to sync; empty: all.
    """

    project: Path
    home: Path
    port: int | None = None
    then: str = "serve"
    systems: tuple[str, ...] = ()


class Interrupted(BaseException):
    """Somebody asked us to stop: Ctrl-C, a closed terminal, or kill."""


def run(options: Options) -> int:
    """Run the demo to its end; the status for the shell. 0: all counts matched, or it was stopped by a person."""
    console = Console()
    try:
        _make_home(options.home)
        with _stoppable(), only_demo(options.home) as note:
            return _run(options, console=console, note=note)
    except Interrupted:
        console.print("Stopped.")
        return 0
    except ErpflowError as error:
        console.print(f"\n{error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


def _run(options: Options, *, console: Console, note: Path) -> int:
    began = time.monotonic()
    port = first_free(DEFAULT_PORT) if options.port is None else exactly(options.port)
    progress = progress_for(console)
    stack: Stack | None = None
    systems = chosen(options.systems)
    try:
        if options.port is None and port != DEFAULT_PORT:
            progress.note(f"Port {DEFAULT_PORT} is taken by another program; the UI will be on {port}.")
        mappings = demo_syncs.load_mappings(_mappings(options.project), systems)
        stack = Stack(
            project=options.project,
            home=options.home,
            port=port,
            progress=progress,
            vendors=[system.name for system in systems],
        )
        stack.start()
        announce(note, url=stack.machine.url)
        _remember(stack, options.home)
        demo_syncs.connect(stack, systems, mappings)
        if demo_merge.is_shown(systems):
            demo_merge.put_back(stack)
        outcomes = list(demo_syncs.run_all(stack, systems, mappings))
        merged = _both_sides(stack) if demo_merge.is_shown(systems) else None
        progress.close()
        wrong = _summarise(stack, outcomes, merged, console=console, seconds=time.monotonic() - began)
        if options.then == "exit":
            return 1 if wrong else 0
        console.print("\nCtrl-C stops everything.", highlight=False)
        _serve(stack)
    finally:
        _wind_down(stack, systems, progress=progress, console=console)


def _both_sides(stack: Stack) -> demo_merge.Merged | None:
    with step(stack.progress, "One customer, changed on both sides"):
        return demo_merge.merge(stack)


def _summarise(
    stack: Stack, outcomes: list[Outcome], merged: demo_merge.Merged | None, *, console: Console, seconds: float
) -> list[str]:
    """Print what the syncs did; the sentences about what is not as it should be."""
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    console.print()
    console.print(outcome.table_of(outcomes))
    seeded = stack.sandbox.seeded()
    wrong = [
        text
        for one in outcomes
        for text in outcome.complaints(one, seeded=seeded[one.sync.system].get(one.sync.entity, 0))
    ]
    if merged is not None:
        console.print("\nOne customer, changed on both sides and synced once:", highlight=False)
        console.print(demo_merge.table_of(merged))
        wrong += merged.complaints()
    for text in wrong:
        say(text, style="red")
    if rejected := sum(one.counts.rejected for one in outcomes):
        say(f"\n{rejected:,} records of the sandbox are broken on purpose; each is kept whole in erpflow.erp_rejects.")
    if wrong and any(one.repeated for one in outcomes):
        say("If the project was updated since the last demo, start from nothing: make clean && make demo")
    if not wrong:
        read = sum(one.counts.read for one in outcomes)
        changed = sum(one.changed for one in outcomes)
        what = f"{changed:,} rows were written" if changed else "nothing had changed, and no row was written"
        say(f"Every count is right: {read:,} records were read, {what}. {seconds:.0f} s in all.")
    say(f"\nAirflow   {stack.machine.url}")
    say(f"Login     {ADMIN} / {stack.password}")
    say(f"Sandbox   {stack.sandbox.url}: {', '.join(f'/{name}' for name in seeded)}")
    say(f"Logs      {stack.machine.logs}")
    return wrong


def _serve(stack: Stack) -> NoReturn:
    """Watch the processes until somebody stops us or one of them dies."""
    while True:
        stack.processes.check()
        stack.processes.reap()
        time.sleep(WATCH_S)


def _wind_down(stack: Stack | None, systems: Sequence[System], *, progress: Progress, console: Console) -> None:
    """Stop everything; a second Ctrl-C does not leave half of it behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    progress.close()
    if stack is None:
        return
    console.print("\nStopping …", highlight=False)
    try:
        demo_syncs.pause_all(stack, systems)
    except (ErpflowError, requests.RequestException, AttributeError):
        pass  # it was not up yet, or is down already: there is nothing to pause
    finally:
        stack.stop()


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError("it may not be written")
    except OSError as error:
        raise ConfigError(
            f"The state folder {home} cannot be used: {error.strerror or error}. Name another one: "
            "ERPFLOW_HOME=/path/to/folder make demo"
        ) from None


def _remember(stack: Stack, home: Path) -> None:
    """Leave the addresses and the key where the command `erpflow` looks for them."""
    variables = stack.variables
    lines = [f"{name}={variables[name]}\n" for name in REMEMBERED]
    with os.fdopen(os.open(home / "env", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as env:
        env.writelines(lines)


def _mappings(project: Path) -> Path:
    return Path(os.environ.get("ERPFLOW_MAPPINGS") or project / "include" / "mappings")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn the signals that ask a program to stop into an exception of the main thread."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    yield
    sys.stdout.flush()
