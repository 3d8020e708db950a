"""What a mapping file may say, as pydantic models: the one place that knows its keys."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from erpflow.mapping.checks import check_field
from erpflow.mapping.kinds import FieldType, Only, OnMissing
from erpflow.mapping.paths import Path, parse_path
from erpflow.mapping.transforms import TransformUse
from erpflow.vocabulary import Conflict, Deletes, Direction, FieldConflict, FindDeletes, Operation

COMPILER_VERSION = 1
"""Part of `Mapping.version`: raise it when compiled programs give other results for the same file."""

_canonical_json = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_SHARE = re.compile(r"(100|[0-9]{1,2})%")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}
TRANSFORM_SCHEMA: dict[str, Any] = {
    "description": "A transform's name, or {name: arguments}.",
    "anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}],
}
_DELETES = {"type": "string", "enum": [word.value for word in Deletes]}
_EACH_WAY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "pull": _DELETES,
        "push": _DELETES,
        "find": {"type": "string", "enum": [word.value for word in FindDeletes]},
        "at_most": {"type": "string", "pattern": f"^{_SHARE.pattern}$"},
    },
}
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
COLUMN_PATTERN = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$"
TABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}$"


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _path(value: Any) -> Any:
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


def _share(value: Any) -> Any:
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Decimal):
        return value
    if found is None:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a share such as 10%"})
    return Decimal(found[1]) / 100


def _whole_or_each_way(value: Any) -> Any:
    return {"pull": value, "push": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _value_map(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a table of local: remote values"})
    if any("\x00" in str(local) for local in value):
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "local values without the character U+0000"})
    return {str(local): _scalar(remote) for local, remote in value.items()}


RemotePath = Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
RemotePaths = Annotated[
    tuple[RemotePath, ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
Column = Annotated[str, Field(pattern=COLUMN_PATTERN)]
Table = Annotated[str, Field(pattern=TABLE_PATTERN)]
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"})
]
Use = Annotated[
    InstanceOf[TransformUse],
    BeforeValidator(TransformUse.read),
    PlainSerializer(TransformUse.canonical),
    WithJsonSchema(TRANSFORM_SCHEMA),
]
Transforms = Annotated[
    tuple[Use, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [TRANSFORM_SCHEMA, {"type": "array", "items": TRANSFORM_SCHEMA}]}),
]
Share = Annotated[
    Decimal, BeforeValidator(_share), WithJsonSchema({"type": "string", "pattern": f"^{_SHARE.pattern}$"})
]
ValueMap = Annotated[
    dict[str, Any],
    BeforeValidator(_value_map),
    WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": _SCALAR_SCHEMA}),
]


class Part(BaseModel):
    """Every part of the file: no key it does not know, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RemoteFlag(Part):
    """The field that marks a record as deleted at the vendor, and the value it then has."""

    path: RemotePath
    value: Scalar


class Remote(Part):
    """The vendor's side: its name for the entity, the path of the record's key and of its modification time.

    `external_id`: a field of ours in the vendor's record that tells what we created. `deleted`: what a soft delete
    sets.
    """

    object: Annotated[str, Field(min_length=1)]
    key: RemotePath
    modified: RemotePath | None = None
    external_id: RemotePath | None = None
    deleted: RemoteFlag | None = None


class Local(Part):
    """Our side: the table, its key and modification columns, and the columns that find an existing row.

    `deleted`: the column (a time or a boolean) that a soft delete sets.
    """

    table: Table
    key: Column = "id"
    modified: Column | None = None
    deleted: Column | None = None
    match_on: tuple[Column, ...] = ()


class DeletesEachWay(Part):
    """What a delete does: `pull`, one in the vendor's system; `push`, one of ours.

    `find`: how the vendor's are found (its list of them if it has one). `at_most`: the share of the records that one
    run may delete on either side without being asked.
    """

    pull: Deletes = Deletes.IGNORE
    push: Deletes = Deletes.IGNORE
    find: FindDeletes | None = None
    at_most: Share = Decimal("0.1")


class Lookup(Part):
    """Where the local value of a lookup comes from: a table of ours, or another entity of the same connection."""

    table: Table | None = None
    match: Column | None = None
    take: Column | None = None
    entity: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    on_missing: Annotated[
        OnMissing,
        BeforeValidator(lambda value: OnMissing.NULL if value is None else value),  # YAML reads a bare null as nothing
        WithJsonSchema({"enum": ["reject", "null", None]}),
    ] = OnMissing.REJECT


class FieldSpec(Part):
    """One local column and the remote value it corresponds to, or a constant of one side."""

    local: Column | None = None
    remote: RemotePaths | None = None
    value: Scalar | None = None
    type: FieldType = FieldType.TEXT
    required: bool = False
    only: Only | None = None
    default: Scalar | None = None
    min: Scalar | None = None
    max: Scalar | None = None
    scale: Annotated[int, Field(ge=0, le=100)] | None = None
    max_length: Annotated[int, Field(ge=1)] | None = None
    pattern: str | None = None
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None
    values: ValueMap | None = None
    lookup: Lookup | None = None
    transform: Transforms = ()
    conflict: FieldConflict | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> FieldSpec:
        problems = check_field(self)
        if problems:
            raise PydanticCustomError("checks", "{problems}", {"problems": problems})
        return self

    @property
    def paths(self) -> tuple[Path, ...]:
        """The parsed remote paths, in the order they are tried."""
        return tuple(parse_path(text) for text in self.remote or ())

    def pulls(self) -> bool:
        """Whether a pull writes the local column."""
        return self.local is not None and self.only is not Only.PUSH

    def pushes(self) -> bool:
        """Whether a push writes the remote field."""
        return self.remote is not None and self.only is not Only.PULL


class Children(Part):
    """The lines of a record: a list inside the remote record, rows of a table of ours."""

    local: Table
    remote: RemotePaths
    key: Column
    parent: Column
    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1)]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The parsed remote paths of the list, in the order they are tried."""
        return tuple(parse_path(text) for text in self.remote)


class Mapping(Part):
    """One mapping file: how one entity of one system corresponds to one local table.

    `writes`: what a push may do at the vendor; rows and changes of other kinds stay here.
    """

    system: Annotated[str, Field(pattern=NAME_PATTERN)]
    entity: Annotated[str, Field(pattern=NAME_PATTERN)]
    remote: Remote
    local: Local
    direction: Direction = Direction.PULL
    conflict: Conflict = Conflict.NEWEST_WINS
    deletes: Annotated[
        DeletesEachWay,
        BeforeValidator(_whole_or_each_way),
        WithJsonSchema({"anyOf": [_DELETES, _EACH_WAY]}),
    ] = DeletesEachWay()
    writes: Annotated[frozenset[Operation], Field(min_length=1)] = frozenset(Operation)
    every: Duration = timedelta(minutes=30)
    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1)]
    children: tuple[Children, ...] = ()

    @property
    def version(self) -> str:
        """16 hex digits over everything that decides what a record becomes.

        Comments, the order of keys, `every`, `conflict`, `deletes`, `direction` and `writes` do not change it: they
        decide when and whether, not what. The source of the user's transforms does.
        """
        policy: Any = {"__all__": {"conflict"}}
        content = self.model_dump(
            exclude={
                **dict.fromkeys(("every", "conflict", "deletes", "direction", "writes"), True),
                "fields": policy,
                "children": {"__all__": {"fields": policy}},
            },
            exclude_defaults=True,
        )
        digests = sorted(
            {
                use.digest
                for fields in (self.fields, *(child.fields for child in self.children))
                for f in fields
                for use in f.transform
            }
        )
        canonical = _canonical_json([COMPILER_VERSION, content, digests])
        return sha256(canonical).hexdigest()[:16]
