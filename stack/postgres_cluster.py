"""The files of one Postgres cluster, and the server programs that work on them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from erpflow.errors import DatabaseUnavailable
from stack.postgres_place import ServerUser, popen_arguments

SUPERUSER: Final = "erpflow"
START_TIMEOUT_S: Final = 60
FIRST_USER_OID: Final = 16384
"""Databases that initdb makes have lower numbers; one at or above this number was made by somebody."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server process as its file postmaster.pid names it."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of one cluster and the commands that work on them."""

    place: Path
    binaries: Path
    user: ServerUser | None

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "server.log"

    def complete(self) -> bool:
        """True when initdb finished here."""
        return (self.data / "PG_VERSION").is_file() and (self.data / "global" / "pg_control").is_file()

    def holds_databases(self) -> bool:
        """True when somebody made a database here."""
        try:
            names = [entry.name for entry in (self.data / "base").iterdir()]
        except OSError:
            return False
        return any(name.isdigit() and int(name) >= FIRST_USER_OID for name in names)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a server program as the server's user. Its output goes to a file: the server would keep a pipe open."""
        with (self.place / "commands.log").open("w+", encoding="utf-8", errors="replace") as output:
            done = subprocess.run(
                [str(self.binaries / "bin" / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                check=False,
                **popen_arguments(self.user),
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, stdout=output.read())

    def initialise(self, unfinished: Path, *, password: str, options: tuple[str, ...] = ()) -> None:
        """Make the cluster beside its place and move it there whole, so that `data` is never half made."""
        secret = self.place / "initdb.password"
        write_private(secret, password)
        try:
            unfinished.mkdir(mode=0o700)
            if self.user:
                self.user.own(unfinished)
                self.user.own(secret)
            done = self.run(
                "initdb", "-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={secret}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C", *options,
            )  # fmt: skip
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise DatabaseUnavailable(f"Postgres could not make its data folder {self.data}: {_complaint(done.stdout)}")
        unfinished.rename(self.data)

    def launch(self, port: int, settings: Mapping[str, str]) -> bool:
        """Start the server on `port`; False when it did not come up."""
        self.log.touch(mode=0o600)
        if self.user:
            self.user.own(self.log)
        options = " ".join(f"-c {name}={_quoted(value)}" for name, value in {**settings, "port": str(port)}.items())
        wait = ("-w", "-t", str(START_TIMEOUT_S))
        done = self.run("pg_ctl", "-D", str(self.data), "-l", str(self.log), *wait, "-o", options, "start")
        return done.returncode == 0

    def running(self) -> Running | None:
        """The server that runs on this cluster, or None. Removes the pid file of one that died."""
        pid_file = self.data / "postmaster.pid"
        try:
            lines = pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except FileNotFoundError:
            return None
        except (IndexError, ValueError):
            pid, port = 0, 0
        if pid > 0 and _is_postgres(pid, self.data):
            return Running(pid=pid, port=port)
        # Postgres takes any living process of its user with that number for itself, and a zombie too.
        pid_file.unlink(missing_ok=True)
        return None

    def last_complaint(self) -> str:
        try:
            return _complaint(self.log.read_text(encoding="utf-8", errors="replace")[-4000:])
        except OSError:
            return "it said nothing."


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether `pid` is the living server of `data`: numbers are reused, and the dead may stay as zombies."""
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            return False
    else:
        command = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    return "postgres" in command and f"-D {data} " in f"{command} "


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
        handle.write(text)


def _complaint(output: str) -> str:
    """The line of a server's output that says why, or its last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "ERROR", "error:", "PANIC"))]
    return (telling or lines or ["it said nothing."])[-1]
