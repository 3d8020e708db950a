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

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints, overload

from pydantic_core import PydanticCustomError

from erpflow.errors import ConfigError
from erpflow.mapping.functions import batch_transform, record_transform
from erpflow.mapping.registry import REGISTRY, Source, digest_of, source_being_read
from erpflow.mapping.values import Refused, scalar_text
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.templates import Template

__all__ = [
    "Origin",
    "Transform",
    "TransformUse",
    "batch_transform",
    "known_transforms",
    "load_transforms",
    "record_transform",
    "transform",
]

Function = TypeVar("Function", bound=Callable[..., Any])
Bound = Callable[[Any], Any]
TEMPLATE = "template"
"""Not a transform's name: `{template: name}` in a chain stands for the chain of that field template."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A registered transform: the function, its way back, and what judges its arguments."""

    what: ClassVar[str] = "transform"
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


def _exact(value: Any) -> Any:
    """A number out of a JSON body as the digits it was written with."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def known_transforms(folder: Path | None = None) -> dict[str, Transform]:
    """The transforms a mapping may name: the built-in ones and those read from `folder`; without one, from any."""
    from erpflow.mapping import builtin_transforms  # registers them; imports this module, hence not above

    assert builtin_transforms.LOADED  # noqa: S101 - names the import's purpose for the reader and the linter
    return REGISTRY.known(Transform, folder)


def load_transforms(folder: Path) -> list[str]:
    """Read the user's functions of every `*.py` in `folder` (not `_*.py`); a file that changed is read again.

    Returns the names. Raises ConfigError naming file and line when a file cannot be run.
    """
    known_transforms()
    return REGISTRY.read_folder(folder.resolve())


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
        if made.__name__ == TEMPLATE:
            raise ConfigError('A transform cannot be called "template": that word brings in a field template.')
        REGISTRY.add(
            Transform(
                name=made.__name__,
                apply=made,
                reverse=reverse,
                check=check,
                way_back=way_back,
                source=source_being_read(),
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
class Origin:
    """How a transform came into a chain: through which field templates, outermost first, and where the last says so."""

    templates: tuple[Template, ...]
    place: str

    def __str__(self) -> str:
        return f"in the template {self.templates[-1].name}{f', {self.place}' if self.place else ''}"


@dataclass(frozen=True, slots=True)
class TransformUse:
    """A transform as a mapping names it, arguments included and checked.

    `number` is its place in the chain as it is written, where a field template counts as one; `origin` is None for a
    transform the mapping names itself. Neither makes a difference: a template is its chain written out.
    """

    transform: Transform
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    number: int = field(default=0, compare=False)
    origin: Origin | None = field(default=None, compare=False)

    @classmethod
    def read(cls, use: Any, known: Mapping[str, Transform] | None = None) -> TransformUse:
        """From the file's form: a name, or a table of one name and its arguments. Raises pydantic's error.

        `known` are the transforms there are; all that were ever read when it is not given.
        """
        if isinstance(use, TransformUse):
            return use
        name, given = next(iter(use.items())) if isinstance(use, dict) and len(use) == 1 else (use, None)
        if not isinstance(name, str):
            raise PydanticCustomError("expected", "{allowed}", {"allowed": "a transform's name, or {name: arguments}"})
        transforms = known_transforms() if known is None else known
        made = transforms.get(name)
        if made is None:
            raise PydanticCustomError("unknown", "{name}", {"name": name, "known": sorted(transforms)})
        listed = given if isinstance(given, list) else [] if given is None or isinstance(given, dict) else [given]
        args = tuple(map(_exact, listed))
        kwargs = {key: _exact(value) for key, value in given.items()} if isinstance(given, dict) else {}
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
        return digest_of(self.transform)

    def canonical(self) -> list[Any]:
        """Name and arguments, for the mapping's version."""
        return [self.transform.name, list(self.args), [list(pair) for pair in self.kwargs]]
