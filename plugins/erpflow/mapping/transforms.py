"""Transforms: named, pure functions of one value, with a way back where there is one.

A user writes them in `include/transforms/*.py`:

    from erpflow.mapping.transforms import transform

    def with_dashes(value: str) -> str: ...

    @transform(reverse=with_dashes)
    def without_dashes(value: str) -> str: ...

The name of the function is the name in the mapping file; parameters after the value are arguments, given as
`{name: argument}`, `{name: [several, arguments]}` or `{name: {by: name}}`. A null never reaches a transform.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, get_type_hints, overload

from pydantic_core import PydanticCustomError

from erpflow.errors import ConfigError
from erpflow.mapping.values import Refused, excerpt, scalar_text

Function = TypeVar("Function", bound=Callable[..., Any])
Bound = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Source:
    """The file a transform came from, and the hash of its text."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Transform:
    """A registered transform: the function, its way back, and what judges its arguments."""

    name: str
    apply: Callable[..., Any]
    reverse: Callable[..., Any] | None
    check: Callable[..., str | None] | None
    way_back: Callable[..., bool] | None
    source: Source | None

    def problem_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Why these arguments do not fit, or None."""
        try:
            bound = inspect.signature(self.apply).bind(None, *args, **kwargs)
        except TypeError as error:
            return f"{self.name} takes {self.usage()}: {error}"
        hints = get_type_hints(self.apply)
        for name, value in list(bound.arguments.items())[1:]:
            values = value if isinstance(value, tuple) else (value,)
            expected = hints.get(name, Any)
            if any(not _fits(item, expected) for item in values):
                return f"{self.name} takes {self.usage()}, found {excerpt(value)} for {name}"
        problem = self.check(*args, **kwargs) if self.check else None
        return f"{self.name} takes {problem}" if problem else None

    def usage(self) -> str:
        """The arguments in words, for messages and the reference page: `length: int`."""
        parameters = list(inspect.signature(self.apply).parameters.values())[1:]
        shown = ", ".join(str(parameter).replace("'", "") for parameter in parameters)
        return shown or "no arguments"


def _fits(value: Any, expected: Any) -> bool:
    if expected is Decimal:
        return isinstance(value, int | Decimal) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(expected, type) or isinstance(value, expected)


@dataclass(slots=True)
class Registry:
    """The transforms by name."""

    transforms: dict[str, Transform] = field(default_factory=dict)

    def add(self, transform: Transform) -> None:
        """Raises ConfigError when the name is taken by another file or by a built-in."""
        taken = self.transforms.get(transform.name)
        if taken is not None:
            owner = "built in" if taken.source is None else f"in {taken.source.path}"
            raise ConfigError(f'The transform "{transform.name}" exists already ({owner}): give this one another name.')
        self.transforms[transform.name] = transform

    def forget(self, path: Path) -> None:
        """Drop the transforms of one file, before it is read again or because it is gone."""
        self.transforms = {n: t for n, t in self.transforms.items() if t.source is None or t.source.path != path}

    def paths_in(self, folder: Path) -> set[Path]:
        """The files of `folder` that gave transforms."""
        return {t.source.path for t in self.transforms.values() if t.source and t.source.path.parent == folder}

    def digest_of(self, path: Path) -> str | None:
        """The hash of the text of `path` when it was read, None if it never was."""
        return next((t.source.digest for t in self.transforms.values() if t.source and t.source.path == path), None)


_registry = Registry()
_loading: ContextVar[Source | None] = ContextVar("_loading", default=None)


def known_transforms() -> dict[str, Transform]:
    """Every transform a mapping may name now: the built-in ones and those loaded from files."""
    from erpflow.mapping import builtin_transforms  # registers them; imports this module, hence not above

    assert builtin_transforms.LOADED  # noqa: S101 - names the import's purpose for the reader and the linter
    return _registry.transforms


@overload
def transform(function: Function) -> Function: ...


@overload
def transform(
    *,
    reverse: Callable[..., Any] | None = None,
    check: Callable[..., str | None] | None = None,
    way_back: Callable[..., bool] | None = None,
) -> Callable[[Function], Function]: ...


def transform(
    function: Function | None = None,
    *,
    reverse: Callable[..., Any] | None = None,
    check: Callable[..., str | None] | None = None,
    way_back: Callable[..., bool] | None = None,
) -> Function | Callable[[Function], Function]:
    """Register a function as a transform under its own name.

    `reverse` undoes it for a push and takes the same arguments. `check(*arguments)` gives a sentence when arguments
    make no sense; `way_back(*arguments)` says whether `reverse` works for them. A function whose first parameter is
    annotated `str` gets numbers as text; one annotated `Any` gets them as they are.
    """

    def register(made: Function) -> Function:
        if not inspect.signature(made).parameters:
            raise ConfigError(f"The transform {made.__name__} takes no value: its first parameter is the value.")
        _registry.add(
            Transform(
                name=made.__name__,
                apply=made,
                reverse=reverse,
                check=check,
                way_back=way_back,
                source=_loading.get(),
            )
        )
        return made

    return register if function is None else register(function)


def _bind(made: Transform, apply: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
    first = next(iter(inspect.signature(apply).parameters), "")
    takes_text = get_type_hints(apply).get(first) is str

    def call(value: Any) -> Any:
        if value is None:
            return None
        if takes_text and type(value) is not str:
            value = scalar_text(value)
        try:
            return apply(value, *args, **kwargs)
        except Refused:
            raise
        except Exception as error:  # a user's function may raise anything: it is this value's problem, not the page's
            reason = f"{made.name} failed on {excerpt(value)}: {error or type(error).__name__}"
            raise Refused("transform", reason, value=value) from error

    return call


@dataclass(frozen=True, slots=True)
class TransformUse:
    """A transform as a mapping names it, arguments included and checked."""

    transform: Transform
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def read(cls, use: Any) -> TransformUse:
        """From the file's form: a name, or a table of one name and its arguments. Raises pydantic's error."""
        if isinstance(use, TransformUse):
            return use
        name, given = next(iter(use.items())) if isinstance(use, dict) and len(use) == 1 else (use, None)
        if not isinstance(name, str):
            raise PydanticCustomError("expected", "{allowed}", {"allowed": "a transform's name, or {name: arguments}"})
        made = known_transforms().get(name)
        if made is None:
            raise PydanticCustomError("transform", "{name}", {"name": name})
        args = tuple(given) if isinstance(given, list) else () if given is None or isinstance(given, dict) else (given,)
        kwargs = given if isinstance(given, dict) else {}
        problem = made.problem_with(args, kwargs)
        if problem:
            raise PydanticCustomError("arguments", "{usage}", {"usage": problem})
        return cls(made, args, tuple(sorted(kwargs.items())))

    def forward(self) -> Bound:
        """The function a pull applies to a value."""
        return _bind(self.transform, self.transform.apply, self.args, dict(self.kwargs))

    def backward(self) -> Bound | None:
        """The function a push applies, None when there is no way back."""
        made = self.transform
        if made.reverse is None or (made.way_back and not made.way_back(*self.args, **dict(self.kwargs))):
            return None
        return _bind(made, made.reverse, self.args, dict(self.kwargs))

    @property
    def digest(self) -> str:
        """Changes when a user's source file does; empty for a built-in."""
        source = self.transform.source
        return f"{self.transform.name}:{source.digest}" if source else ""

    def canonical(self) -> list[Any]:
        """Name and arguments, for the mapping's version."""
        return [self.transform.name, list(self.args), [list(pair) for pair in self.kwargs]]


@contextmanager
def _reading(source: Source) -> Iterator[None]:
    token = _loading.set(source)
    try:
        yield
    finally:
        _loading.reset(token)


def load_transforms(folder: Path) -> list[str]:
    """Register the transforms of every `*.py` in `folder` (not `_*.py`); a file that changed is read again.

    Returns the names. Raises ConfigError naming file and line when a file cannot be run.
    """
    known_transforms()
    folder = folder.resolve()
    paths = sorted(folder.glob("[!_]*.py"))
    for gone in _registry.paths_in(folder) - set(paths):
        _registry.forget(gone)
    for path in paths:
        digest = sha256(path.read_bytes()).hexdigest()[:16]
        if _registry.digest_of(path) != digest:
            _registry.forget(path)
            _run(Source(path, digest))
    return sorted(t.name for t in _registry.transforms.values() if t.source and t.source.path.parent == folder)


def _run(source: Source) -> None:
    spec = importlib.util.spec_from_file_location(f"erpflow_transforms_{source.path.stem}", source.path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{source.path} cannot be read as a Python file.")
    module = importlib.util.module_from_spec(spec)
    with _reading(source):
        try:
            spec.loader.exec_module(module)
        except ConfigError as error:
            _registry.forget(source.path)
            raise ConfigError(f"{source.path}: {error}") from error
        except Exception as error:  # a user's file may raise anything while it is read
            _registry.forget(source.path)
            line = _line_in(source.path, error)
            raise ConfigError(f"{source.path}:{line}: this file of transforms cannot be run: {error!r}") from error


def _line_in(path: Path, error: BaseException) -> int:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    trace, line = error.__traceback__, 1
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
