"""Where each field comes from, read off a mapping: for those who trace a figure back to its source. Pure.

A look-up is told as the join it is: the value comes from the table that is looked into, and what was sent only decides
which row it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from erpflow.mapping.kinds import FieldType
from erpflow.mapping.record import takers
from erpflow.mapping.template_use import RecordUse, given_names
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import Children, FieldSpec, Local, Lookup
    from erpflow.mapping.model import Mapping as MappingFile
    from erpflow.mapping.paths import Path
    from erpflow.mapping.transforms import TransformUse

LINES: Final = "[]."
"""Between the path of a list and that of a value in its lines: `items[].rate`."""

Entities = Mapping[str, "Local"]
"""Where other entities of the same connection are kept: what a look-up of an entity looks into."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that a value comes from: `field` of `table`, or of the vendor's object where `table` is None.

    `only_finds`: it decides which row the value is taken from, and is no part of the value.
    """

    field: str
    table: str | None = None
    only_finds: bool = False


@dataclass(frozen=True, slots=True)
class FieldLineage:
    """One column of ours, or one field of the vendor's: its origins, none for a constant.

    `how` it is made of them, in words; empty when it is taken as it is.
    """

    field: str
    origins: tuple[Origin, ...]
    how: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """What is filled, and from where field by field: a table of ours, or (`table` None) the vendor's object."""

    table: str | None
    fields: tuple[FieldLineage, ...]


def pull_lineage(mapping: MappingFile, *, entities: Entities) -> tuple[Filled, ...]:
    """The local table and those of its lines; nothing for a mapping that only pushes."""
    if mapping.direction is Direction.PUSH:
        return ()
    made = _made_by_templates(mapping.record)
    fields = [_pulled(spec, "", made, entities) for spec in mapping.fields if spec.pulls()]
    batch = ", ".join(use.template.name for use in mapping.batch)
    if batch:  # it is handed whole rows, and may change any column of them
        fields = [replace(field, how=_sentence(field.how, f"then the batch template {batch}")) for field in fields]
    lines = (_lines_pulled(child, mapping, entities) for child in mapping.children)
    return Filled(mapping.local.table, tuple(fields)), *lines


def push_lineage(mapping: MappingFile) -> tuple[Filled, ...]:
    """The vendor's object, lines included; nothing for a mapping that only pulls."""
    if mapping.direction is Direction.PULL:
        return ()
    names = given_names(mapping.record)
    specs = [spec for spec in mapping.fields if spec.pushes() and spec.paths[0][0] not in names]
    fields = [_pushed(spec, mapping.local.table, "") for spec in specs]
    fields += _taken_back(mapping)
    for child in mapping.children:
        within = child.remote[0] + LINES
        fields += [_pushed(spec, child.local, within) for spec in child.fields if spec.pushes()]
    return (Filled(None, tuple(fields)),)


def _lines_pulled(child: Children, mapping: MappingFile, entities: Entities) -> Filled:
    within = child.remote[0] + LINES
    parent = FieldLineage(
        child.parent, (Origin(mapping.remote.key),), how=f"the key of the row of {mapping.local.table} of that record"
    )
    return Filled(
        child.local, (parent, *(_pulled(spec, within, {}, entities) for spec in child.fields if spec.pulls()))
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A name that stands for what a record template gives: by which one, out of which paths."""

    template: str
    paths: tuple[str, ...]


def _made_by_templates(uses: tuple[RecordUse, ...]) -> dict[str, _Made]:
    made: dict[str, _Made] = {}
    for use in uses:
        texts = [text for _, paths in use.reads for text in paths]
        paths = tuple(dict.fromkeys(path for text in texts for path in _within_record(text, made)))
        made |= {name: _Made(use.template.name, paths) for name in use.names}
    return made


def _within_record(text: str, made: dict[str, _Made]) -> tuple[str, ...]:
    """The paths of the record behind a path, which may begin with a name that a template gave."""
    found = made.get(text.partition(".")[0])
    return (text,) if found is None else found.paths


def _pulled(spec: FieldSpec, within: str, made: dict[str, _Made], entities: Entities) -> FieldLineage:
    column = spec.local or ""
    if spec.value is not None:
        return FieldLineage(column, (), how=f"the constant {excerpt(spec.value)}")
    remote = spec.remote or ()
    paths = tuple(dict.fromkeys(within + path for text in remote for path in _within_record(text, made)))
    steps = [_first_of(remote), _by_template(remote, made), _chain(spec.transform), _read_as(spec)]
    origins = tuple(Origin(path) for path in paths)
    if spec.lookup is not None:
        row = _looked_up(spec.lookup, entities)
        origins = (*(replace(origin, only_finds=bool(row)) for origin in origins), *row)
        steps.append(_lookup_in_words(spec.lookup))
    if spec.default is not None:
        steps.append(f"{excerpt(spec.default)} where there is none")
    return FieldLineage(column, origins, how=_sentence(*steps))


def _pushed(spec: FieldSpec, table: str, within: str) -> FieldLineage:
    field = within + (spec.remote or ("",))[0]
    if spec.local is None or spec.value is not None:
        return FieldLineage(field, (), how=f"the constant {excerpt(spec.value)}")
    lookup, origin = spec.lookup, Origin(spec.local, table)
    origins: tuple[Origin, ...] = (origin,)
    back = [use for use in reversed(spec.transform) if use.backward() is not None]
    steps = [
        _lookup_in_words(lookup) if lookup else "",
        _written_as(spec),
        f"back through {_chain(back)}" if back else "",
    ]
    if lookup is not None and lookup.table is not None:
        taken, matched = (
            Origin(lookup.take or "", lookup.table, only_finds=True),
            Origin(lookup.match or "", lookup.table),
        )
        origins = (replace(origin, only_finds=True), taken, matched)
    if spec.default is not None:
        steps.append(f"{excerpt(spec.default)} where there is none")
    return FieldLineage(field, origins, how=_sentence(*steps))


def _taken_back(mapping: MappingFile) -> Iterator[FieldLineage]:
    """What record templates write on their way back, each out of all the columns that feed it."""
    for taker in takers(mapping):
        origins = tuple(Origin(column, mapping.local.table) for column in sorted(taker.columns))
        for _, path in taker.reads:
            if path[0] not in taker.before:
                yield FieldLineage(_text(path), origins, how=f"back through the record template {taker.name}")


def _looked_up(lookup: Lookup, entities: Entities) -> tuple[Origin, ...]:
    """The columns of the row that a look-up finds; none when it is not known where that entity is kept."""
    if lookup.table is not None:
        return Origin(lookup.match or "", lookup.table, only_finds=True), Origin(lookup.take or "", lookup.table)
    local = entities.get(lookup.entity or "")
    return () if local is None else (Origin(local.key, local.table),)


def _lookup_in_words(lookup: Lookup) -> str:
    if lookup.table is not None:
        return f"looked up in {lookup.table} by {lookup.match}"
    return f"looked up among the records of the entity {lookup.entity}"


def _first_of(remote: tuple[str, ...]) -> str:
    return f"the first of {', '.join(remote)} that has a value" if len(remote) > 1 else ""


def _by_template(remote: tuple[str, ...], made: dict[str, _Made]) -> str:
    names = dict.fromkeys(made[text.partition(".")[0]].template for text in remote if text.partition(".")[0] in made)
    return f"given by the record template {', '.join(names)}" if names else ""


def _chain(uses: tuple[TransformUse, ...] | list[TransformUse]) -> str:
    return ", ".join(map(_call, uses))


def _call(use: TransformUse) -> str:
    given = [*map(str, use.args), *(f"{name}={value}" for name, value in use.kwargs)]
    return f"{use.transform.name}({', '.join(given)})" if given else use.transform.name


def _read_as(spec: FieldSpec) -> str:
    if spec.type is FieldType.PICKLIST:
        return f"read as one of {', '.join(spec.values or ())}"
    return "" if spec.type in (FieldType.TEXT, FieldType.LOOKUP) else f"read as {spec.type.value}{_scale(spec)}"


def _written_as(spec: FieldSpec) -> str:
    if spec.type is FieldType.PICKLIST:
        return f"written as one of {', '.join(map(str, (spec.values or {}).values()))}"
    return "" if spec.type in (FieldType.TEXT, FieldType.LOOKUP) else f"written as {spec.type.value}{_scale(spec)}"


def _scale(spec: FieldSpec) -> str:
    return f" with {spec.scale} decimals" if spec.scale is not None else ""


def _sentence(*steps: str) -> str:
    return "; ".join(filter(None, steps))


def _text(path: Path) -> str:
    """A path as it is written: a dot inside a key is quoted."""
    return ".".join(f'"{step}"' if isinstance(step, str) and "." in step else str(step) for step in path)


def record_fields(filled: tuple[Filled, ...]) -> tuple[str, ...]:
    """The fields of the vendor's record that a pull reads, each once, in the order they are met."""
    origins: list[Any] = [origin for part in filled for field in part.fields for origin in field.origins]
    return tuple(dict.fromkeys(origin.field for origin in origins if origin.table is None))
