"""How single values are written in mapping and template files: paths, columns, durations, chains of transforms.

The validation context of a file, if there is one, is what its names stand for (`Catalogue`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from erpflow.mapping.paths import parse_path
from erpflow.mapping.transforms import TEMPLATE, Transform, TransformUse, known_transforms
from erpflow.yaml_files.part import COLUMN_PATTERN, GIVEN_PATTERN, TABLE_PATTERN

if TYPE_CHECKING:
    from erpflow.mapping.kinds import Level
    from erpflow.mapping.templates import Template

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}
TRANSFORM_SCHEMA: dict[str, Any] = {
    "description": "A transform's name, {name: arguments}, or {template: name} for the chain of a field template.",
    "anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}],
}
LONGEST_CHAIN = 100
"""Transforms that a chain may come to, for templates of templates multiply."""


def one_or_more(value: Any) -> Any:
    """A single text as a list of one."""
    return (value,) if isinstance(value, str) else value


def path_text(value: Any) -> Any:
    """The text of a path, checked. Raises pydantic's error."""
    if not isinstance(value, str):
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a path such as Owner.email"})
    try:
        parse_path(value)
    except ValueError as error:
        raise PydanticCustomError(
            "expected", "{allowed}", {"allowed": f"a path such as Owner.email: {error}"}
        ) from error
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str | int | Decimal):
        return value
    raise PydanticCustomError("expected", "{allowed}", {"allowed": "a text, a number, true or false"})


def _duration(value: Any) -> Any:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, timedelta):
        return value
    if found is None:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a duration such as 30s, 15m, 1h, 1d or 1w"})
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def listed(value: Any) -> Any:
    """One item in place of a list as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


class Catalogue(Protocol):
    """What the names in a file stand for; the context in which it is validated."""

    @property
    def transforms(self) -> Mapping[str, Transform]:
        """The transforms there are."""

    def chain(self, name: Any) -> tuple[TransformUse, ...]:
        """The chain of a field template. Raises pydantic's error."""

    def template(self, name: Any, level: Level) -> Template:
        """The template of that name and level. Raises pydantic's error."""


class _BuiltIn:
    """Where no context is given: every transform that was ever read, and no template."""

    @property
    def transforms(self) -> Mapping[str, Transform]:
        return known_transforms()

    def chain(self, name: Any) -> tuple[TransformUse, ...]:
        raise unknown(name, ())

    def template(self, name: Any, level: Level) -> Template:
        raise unknown(name, ())


def catalogue_of(info: ValidationInfo) -> Catalogue:
    """What the names in the file at hand stand for."""
    return info.context or _BuiltIn()


def unknown(name: Any, known: Iterable[str]) -> PydanticCustomError:
    """The complaint about a name that stands for nothing."""
    return PydanticCustomError("unknown", "{name}", {"name": name, "known": sorted(known)})


def sentence(words: str) -> PydanticCustomError:
    """A complaint in words of its own."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": words})


@dataclass(frozen=True, slots=True)
class ReadBy:
    """What stands in the file is read by a function of ours, `read(value, info)`; pydantic looks no further.

    `canonical` is how the result goes into a mapping's version, `schema` how the file's form is told to editors.
    """

    read: Callable[[Any, ValidationInfo], Any]
    canonical: Callable[[Any], Any] | None = None
    schema: dict[str, Any] | None = None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.canonical) if self.canonical else None
        return core_schema.with_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.schema or {}


def _step(value: Any, info: ValidationInfo) -> TransformUse | tuple[TransformUse, ...]:
    """One step as it is written: a transform, or all those of a field template."""
    catalogue = catalogue_of(info)
    if isinstance(value, dict) and set(value) == {TEMPLATE}:
        return catalogue.chain(value[TEMPLATE])
    return TransformUse.read(value, catalogue.transforms)


def _chain(steps: tuple[Any, ...]) -> tuple[TransformUse, ...]:
    """The steps with those of templates in their places."""
    parts = [(step,) if isinstance(step, TransformUse) else step for step in steps]
    count = sum(map(len, parts))
    if count > LONGEST_CHAIN:
        raise sentence(f"found a chain that comes to {count} transforms, allowed {LONGEST_CHAIN} at most")
    return tuple(replace(use, number=number) for number, part in enumerate(parts) for use in part)


def _value_map(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a table of local: remote values"})
    if any("\x00" in str(local) for local in value):
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "local values without the character U+0000"})
    return {str(local): _scalar(remote) for local, remote in value.items()}


RemotePath = Annotated[str, BeforeValidator(path_text), WithJsonSchema({"type": "string", "minLength": 1})]
RemotePaths = Annotated[
    tuple[RemotePath, ...],
    BeforeValidator(one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
Given = Annotated[str, Field(pattern=GIVEN_PATTERN)]
Column = Annotated[str, Field(pattern=COLUMN_PATTERN)]
Table = Annotated[str, Field(pattern=TABLE_PATTERN)]
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"})
]
Use = Annotated[TransformUse, ReadBy(_step, TransformUse.canonical, TRANSFORM_SCHEMA)]
Transforms = Annotated[
    tuple[Use, ...],
    BeforeValidator(listed),
    AfterValidator(_chain),
    WithJsonSchema({"anyOf": [TRANSFORM_SCHEMA, {"type": "array", "items": TRANSFORM_SCHEMA}]}),
]
ValueMap = Annotated[
    dict[str, Any],
    BeforeValidator(_value_map),
    WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": _SCALAR_SCHEMA}),
]
