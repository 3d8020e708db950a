"""What a mapping file may say, as pydantic models: the one place that knows its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from erpflow.mapping.checks import check_field
from erpflow.mapping.forms import (
    Column,
    Duration,
    ReadBy,
    RemotePath,
    RemotePaths,
    Scalar,
    Table,
    Transforms,
    ValueMap,
    listed,
)
from erpflow.mapping.kinds import FieldType, Only, OnMissing
from erpflow.mapping.paths import Path, parse_path
from erpflow.mapping.template_use import BatchUse, RecordUse, read_batch_use, read_record_use
from erpflow.vocabulary import ConflictStrategy, Deletes, Direction, FieldConflict, FindDeletes, Operation
from erpflow.yaml_files.part import GIVEN_PATTERN, NAME_PATTERN, Part

COMPILER_VERSION = 1
"""Part of `Mapping.version`: raise it when compiled programs give other results for the same file."""

_canonical_json = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_SHARE = re.compile(r"(100|[0-9]{1,2})%")
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
_PATHS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_RENAMES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reads": {"type": "object", "additionalProperties": _PATHS},
        "gives": {"type": "object", "additionalProperties": {"type": "string", "pattern": GIVEN_PATTERN}},
    },
}
_BATCH_USE = {"type": "string", "description": "A batch template's name."}
_RECORD_USE = {
    "description": "A record template's name, or {name: {reads: {its name: path}, gives: {its name: name here}}}.",
    "anyOf": [
        {"type": "string"},
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": _RENAMES},
    ],
}


def _share(value: Any) -> Any:
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Decimal):
        return value
    if found is None:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": "a share such as 10%"})
    return Decimal(found[1]) / 100


def _whole_or_each_way(value: Any) -> Any:
    return {"pull": value, "push": value} if isinstance(value, str) else value


Share = Annotated[
    Decimal, BeforeValidator(_share), WithJsonSchema({"type": "string", "pattern": f"^{_SHARE.pattern}$"})
]


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


RecordUses = Annotated[
    tuple[Annotated[RecordUse, ReadBy(read_record_use, RecordUse.canonical)], ...],
    BeforeValidator(listed),
    WithJsonSchema({"anyOf": [_RECORD_USE, {"type": "array", "items": _RECORD_USE}]}),
]
BatchUses = Annotated[
    tuple[Annotated[BatchUse, ReadBy(read_batch_use, BatchUse.canonical)], ...],
    BeforeValidator(listed),
    WithJsonSchema({"anyOf": [_BATCH_USE, {"type": "array", "items": _BATCH_USE}]}),
]


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
    conflict: ConflictStrategy = ConflictStrategy.NEWEST_WINS
    deletes: Annotated[
        DeletesEachWay,
        BeforeValidator(_whole_or_each_way),
        WithJsonSchema({"anyOf": [_DELETES, _EACH_WAY]}),
    ] = DeletesEachWay()
    writes: Annotated[frozenset[Operation], Field(min_length=1)] = frozenset(Operation)
    every: Duration = timedelta(minutes=30)
    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1)]
    children: tuple[Children, ...] = ()
    record: RecordUses = ()
    batch: BatchUses = ()

    def specs(self) -> Iterator[FieldSpec]:
        """Every field, those of lines too."""
        yield from self.fields
        for child in self.children:
            yield from child.fields

    @property
    def version(self) -> str:
        """16 hex digits over everything that decides what a record becomes.

        Comments, the order of keys, `every`, `conflict`, `deletes`, `direction` and `writes` do not change it: they
        decide when and whether, not what. The source of the user's functions does; a field template counts as its
        chain.
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
        digests = {use.digest for spec in self.specs() for use in spec.transform}
        digests |= {use.digest for use in self.record} | {use.digest for use in self.batch}
        canonical = _canonical_json([COMPILER_VERSION, content, sorted(digests)])
        return sha256(canonical).hexdigest()[:16]
