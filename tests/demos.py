"""Demos for the tests: the whole stack of one machine, started in the background in a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.ports import free_port

PROJECT = Path(__file__).parents[1]
USERS = "viewer:viewer,user:user,op:op"
SYSTEM = "erpnext"  # one of them shows what a demo does, and is up in a fraction of the time
UP_WITHIN_S = 280
DOWN_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that was started. `output` is the file with what it prints."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    output: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        return self.password_of("admin")

    def password_of(self, user: str) -> str:
        found: dict[str, str] = json.loads((self.home / "keys" / "passwords.json").read_text())
        return found[user]

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def ended(self, *, within_s: float) -> int:
        """Its status, once it has ended by itself."""
        return self.process.wait(timeout=within_s)

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=DOWN_WITHIN_S)

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + UP_WITHIN_S
        while "Ctrl-C stops everything" not in self.said():
            assert self.process.poll() is None, f"the demo ended early:\n{self.said()}"
            assert time.monotonic() < deadline, f"the demo is not up:\n{self.said()}"
            time.sleep(0.2)


StartDemo = Callable[..., Demo]


def _environment(home: Path) -> dict[str, str]:
    """The caller's environment without what would make the demo use somebody else's databases."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ERPFLOW_", "AIRFLOW"))}
    return {**own, "ERPFLOW_HOME": str(home), "ERPFLOW_DEMO_USERS": USERS}


@pytest.fixture(scope="session")
def start_demo() -> Iterator[StartDemo]:
    """Starts a demo in the background: `start_demo(home, "--exit", port=8081)`. None outlives the session."""
    started: list[Demo] = []

    def start(home: Path, *arguments: str, port: int | None = None) -> Demo:
        port = port or free_port()
        home.mkdir(parents=True, exist_ok=True)
        output = home.with_name(f"{home.name}.{len(started)}.txt")
        with output.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stack", "demo", "--system", SYSTEM, "--port", str(port), *arguments],
                cwd=PROJECT,
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        started.append(Demo(process=process, home=home, port=port, output=output))
        return started[-1]

    yield start
    for demo in started:
        demo.stop()


@pytest.fixture(scope="session")
def places() -> Iterator[Path]:
    """A folder for state folders, which the unprivileged user that runs Postgres for root may enter."""
    with tempfile.TemporaryDirectory(prefix="erpflow-demo-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
def demo(places: Path, start_demo: StartDemo) -> Demo:
    """A demo that has run its first syncs and serves."""
    running = start_demo(places / "first")
    running.wait_until_serving()
    return running
