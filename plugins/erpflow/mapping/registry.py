"""The functions that mappings call by name: those that come with erpflow, and those of a folder of Python files.

A folder is a world of its own: what its files register is known to the mappings beside it and to no others, so that
two folders of one process may use one name.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar, cast

from erpflow.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Source:
    """The file a function came from, and the hash of its text."""

    path: Path
    digest: str


class Named(Protocol):
    """What can be registered. `what` is its kind in words; `source` is None for what comes with erpflow."""

    what: ClassVar[str]

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> Source | None: ...


Thing = TypeVar("Thing", bound=Named)


def digest_of(thing: Named) -> str:
    """Changes when a user's source file does; empty for what comes with erpflow."""
    return f"{thing.name}:{thing.source.digest}" if thing.source else ""


class Registry:
    """What is registered, by kind, folder and name."""

    def __init__(self) -> None:
        # Copied with every change, so that a reader in another thread never sees half of one.
        self._things: dict[tuple[type[Named], Path | None, str], Named] = {}
        self._read: dict[Path, str] = {}
        self._lock = threading.RLock()

    def add(self, thing: Named) -> None:
        """Raises ConfigError when the name is taken by another function of the folder or by a built-in."""
        for folder in (_folder_of(thing), None):
            taken = self._things.get((type(thing), folder, thing.name))
            if taken is not None:
                owner = "built in" if taken.source is None else f"in {taken.source.path}"
                raise ConfigError(
                    f'The {thing.what} "{thing.name}" exists already ({owner}): give this one another name.'
                )
        self._things = {**self._things, (type(thing), _folder_of(thing), thing.name): thing}

    def known(self, kind: type[Thing], folder: Path | None = None) -> dict[str, Thing]:
        """The things of one kind by name: the built-in ones and those of `folder`; without one, those of all."""
        found = {
            name: cast("Thing", thing)
            for (its_kind, home, name), thing in self._things.items()
            if its_kind is kind and (folder is None or home is None or home == folder)
        }
        return found

    def read_folder(self, folder: Path) -> list[str]:
        """Run every `*.py` of a resolved folder (not `_*.py`) that is new or changed; the names they registered."""
        with self._lock:
            paths = sorted(folder.glob("[!_]*.py"))
            for gone in {path for path in self._read if path.parent == folder} - set(paths):
                self._forget(gone)
            for path in paths:
                digest = sha256(path.read_bytes()).hexdigest()[:16]
                if self._read.get(path) != digest:
                    self._forget(path)
                    self._run(Source(path, digest))
            return sorted(name for _, home, name in self._things if home == folder)

    def _forget(self, path: Path) -> None:
        """Drop what one file registered, before it is read again or because it is gone."""
        self._read.pop(path, None)
        self._things = {k: t for k, t in self._things.items() if t.source is None or t.source.path != path}

    def _run(self, source: Source) -> None:
        """Raises ConfigError naming file and line when the file cannot be run; then nothing of it stays."""
        spec = importlib.util.spec_from_file_location(f"erpflow_transforms_{source.path.stem}", source.path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{source.path} cannot be read as a Python file.")
        module = importlib.util.module_from_spec(spec)
        with _reading(source):
            try:
                spec.loader.exec_module(module)
            except ConfigError as error:
                self._forget(source.path)
                raise ConfigError(f"{source.path}: {error}") from error
            except Exception as error:  # a user's file may raise anything while it is read
                self._forget(source.path)
                line = _line_in(source.path, error)
                raise ConfigError(f"{source.path}:{line}: this file of transforms cannot be run: {error!r}") from error
        self._read[source.path] = source.digest


REGISTRY = Registry()
_loading: ContextVar[Source | None] = ContextVar("_loading", default=None)


def source_being_read() -> Source | None:
    """The file that is registering now; None for what comes with erpflow."""
    return _loading.get()


def _folder_of(thing: Named) -> Path | None:
    return thing.source.path.parent if thing.source else None


@contextmanager
def _reading(source: Source) -> Iterator[None]:
    token = _loading.set(source)
    try:
        yield
    finally:
        _loading.reset(token)


def _line_in(path: Path, error: BaseException) -> int:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    trace, line = error.__traceback__, 1
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
