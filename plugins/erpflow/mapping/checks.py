"""What a mapping may not say although each key is well formed: the checks across keys and across fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

from erpflow.errors import suggestion
from erpflow.mapping.kinds import FieldType, OnMissing
from erpflow.mapping.paths import Path, parse_path
from erpflow.mapping.pipeline import bound, constant_text, default_text
from erpflow.mapping.record_checks import check_records, written_back
from erpflow.mapping.template_use import given_names
from erpflow.mapping.values import Refused, canonical
from erpflow.vocabulary import Deletes, Direction, FieldConflict
from erpflow.yaml_files.complaints import Problem, Where, dotted, excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import Children, FieldSpec, Mapping

_WORDS = frozenset({FieldType.TEXT, FieldType.LOOKUP})
_ORDERED = frozenset({FieldType.NUMBER, FieldType.DATE, FieldType.DATETIME})
RULES: dict[str, frozenset[FieldType]] = {
    "min": _ORDERED,
    "max": _ORDERED,
    "scale": frozenset({FieldType.NUMBER}),
    "max_length": _WORDS,
    "pattern": _WORDS,
    "one_of": _WORDS,
    "values": frozenset({FieldType.PICKLIST}),
    "lookup": frozenset({FieldType.LOOKUP}),
}
"""The field types each rule works on."""


def check_field(spec: FieldSpec) -> list[Problem]:
    """What is wrong with one field, looking at nothing else."""
    return [problem for check in _FIELD_CHECKS for problem in check(spec)]


def _sides(spec: FieldSpec) -> Iterator[Problem]:
    if spec.value is None:
        for side in ("local", "remote"):
            if getattr(spec, side) is None:
                yield Problem((side,), "found nothing, allowed a name (or a constant `value` for the other side)")
    elif (spec.local is None) == (spec.remote is None):
        yield Problem(("value",), "found a constant, allowed together with exactly one of local and remote")
    elif spec.default is not None or spec.transform:
        yield Problem(("value",), "found a constant with default or transform, allowed alone: write the value itself")


def _rules(spec: FieldSpec) -> Iterator[Problem]:
    for rule, types in RULES.items():
        if getattr(spec, rule) is not None and spec.type not in types:
            yield Problem((rule,), f"found on a field of type {spec.type}, allowed on type {', '.join(sorted(types))}")
    if spec.type is FieldType.PICKLIST and spec.values is None:
        yield Problem(("values",), "found nothing, allowed a table of local: remote values (type is picklist)")
    if spec.type is FieldType.LOOKUP and spec.lookup is None:
        yield Problem(("lookup",), "found nothing, allowed {table, match, take} or {entity} (type is lookup)")


def _lookup(spec: FieldSpec) -> Iterator[Problem]:
    lookup = spec.lookup
    if lookup is None:
        return
    table_form = [lookup.table, lookup.match, lookup.take]
    if (lookup.entity is not None) == any(part is not None for part in table_form):
        yield Problem(("lookup",), "found neither or both, allowed either {table, match, take} or {entity}")
    elif lookup.entity is None and not all(part is not None for part in table_form):
        yield Problem(("lookup",), "found a part of it, allowed all three of table, match and take")
    if spec.required and lookup.on_missing is OnMissing.NULL:
        yield Problem(("lookup", "on_missing"), "found null on a required field, allowed reject")


def _pattern(spec: FieldSpec) -> Iterator[Problem]:
    if spec.pattern is not None:
        try:
            re.compile(spec.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield Problem(("pattern",), f"found {excerpt(spec.pattern)}, allowed a regular expression: {error}")


def _bounds(spec: FieldSpec) -> Iterator[Problem]:
    if spec.type not in _ORDERED:
        return
    limits: list[Any] = []
    for rule in ("min", "max"):
        try:
            limits.append(bound(spec, rule, zone=UTC))
        except Refused as refused:
            yield Problem((rule,), f"found {excerpt(getattr(spec, rule))}, allowed a {spec.type}: {refused.message}")
            limits.append(None)
    low, high = limits
    if low is not None and high is not None and low > high:
        yield Problem(("min",), f"found {low}, allowed at most max, which is {high}")


def _picklist(spec: FieldSpec) -> Iterator[Problem]:
    if spec.values is None or not spec.pulls():
        return
    seen: dict[str, str] = {}
    for local, remote in spec.values.items():
        name = canonical(remote)
        if name in seen:
            yield Problem(
                ("values", local),
                f"found {excerpt(remote)} for {seen[name]} and for {local}, allowed one local value for each remote "
                "value (or only: push)",
            )
        seen[name] = local


def _merged(spec: FieldSpec) -> Iterator[Problem]:
    if spec.conflict is None:
        return
    if spec.only is not None or spec.value is not None:
        yield Problem(("conflict",), "found on a field of one direction, allowed where both sides can change the field")
    if spec.conflict is FieldConflict.DELTA and (spec.type is not FieldType.NUMBER or spec.transform):
        yield Problem(("conflict",), "found delta, allowed on a field of type number without transforms")


def _given(spec: FieldSpec) -> Iterator[Problem]:
    """Default and constant must themselves pass the type and the rules; skipped where those are wrong already."""
    if any(True for check in (_rules, _pattern, _bounds) for _ in check(spec)):
        return
    try:
        default_text(spec, zone=UTC)
    except Refused as refused:
        yield Problem(("default",), f"found {excerpt(spec.default)}, allowed what the field allows: {refused.message}")
    if spec.value is not None:
        try:
            constant_text(spec, zone=UTC)
        except Refused as refused:
            yield Problem(("value",), f"found {excerpt(spec.value)}, allowed what the field allows: {refused.message}")


_FIELD_CHECKS: tuple[Callable[[FieldSpec], Iterator[Problem]], ...] = (
    _sides,
    _rules,
    _lookup,
    _pattern,
    _bounds,
    _picklist,
    _merged,
    _given,
)


def check_mapping(mapping: Mapping) -> list[Problem]:
    """What is wrong across the fields of a mapping."""
    checks = (_match_on, _columns, _child_tables, _child_conflicts, _directions, _deletes, check_records)
    return [problem for check in checks for problem in check(mapping)]


def _parts(mapping: Mapping) -> Iterator[tuple[Where, Mapping | Children]]:
    yield (), mapping
    for position, child in enumerate(mapping.children):
        yield ("children", position), child


def _match_on(mapping: Mapping) -> Iterator[Problem]:
    known = {spec.local for spec in mapping.fields if spec.pulls() and spec.local}
    for position, column in enumerate(mapping.local.match_on):
        if column not in known:
            yield Problem(
                ("local", "match_on", position),
                f'found "{column}", allowed a column that a field pulls{suggestion(column, known)}',
            )


def _columns(mapping: Mapping) -> Iterator[Problem]:
    for where, part in _parts(mapping):
        seen: set[str] = set()
        for position, spec in enumerate(part.fields):
            if spec.local is None or not spec.pulls():
                continue
            if spec.local in seen:
                at = (*where, "fields", position, "local")
                yield Problem(at, f'found "{spec.local}" a second time, allowed once (give `remote` a list of paths)')
            seen.add(spec.local)


def _child_tables(mapping: Mapping) -> Iterator[Problem]:
    tables = {mapping.local.table}
    for position, child in enumerate(mapping.children):
        where: Where = ("children", position)
        if child.local in tables:
            yield Problem((*where, "local"), f'found "{child.local}" a second time, allowed a table of its own')
        tables.add(child.local)
        columns = {spec.local for spec in child.fields if spec.pulls() and spec.local}
        if child.key not in columns:
            allowed = f"a column that a field of this list pulls{suggestion(child.key, columns)}"
            yield Problem((*where, "key"), f'found "{child.key}", allowed {allowed}')
        if child.parent in columns:
            yield Problem((*where, "parent"), f'found "{child.parent}" among the fields too, allowed only here')


def _child_conflicts(mapping: Mapping) -> Iterator[Problem]:
    """Lines are merged as one list, so none of their fields can have a rule of its own."""
    for place, child in enumerate(mapping.children):
        for position, spec in enumerate(child.fields):
            if spec.conflict is not None:
                at = ("children", place, "fields", position, "conflict")
                yield Problem(
                    at, f"found {spec.conflict}, allowed on fields of the record: its lines are merged as one"
                )


def _deletes(mapping: Mapping) -> Iterator[Problem]:
    pulls = mapping.direction is not Direction.PUSH
    pushes = mapping.direction is not Direction.PULL
    if pulls and mapping.deletes.pull is Deletes.SOFT and mapping.local.deleted is None:
        yield Problem(
            ("local", "deleted"), "found nothing, allowed the column that a soft delete sets (deletes.pull is soft)"
        )
    if pushes and mapping.deletes.push is Deletes.SOFT and mapping.remote.deleted is None:
        yield Problem(
            ("remote", "deleted"),
            "found nothing, allowed {path, value}: what a soft delete sets at the vendor (deletes.push is soft)",
        )


def _directions(mapping: Mapping) -> Iterator[Problem]:
    pulls = mapping.direction is not Direction.PUSH
    pushes = mapping.direction is not Direction.PULL
    if mapping.batch and not pulls:
        yield Problem(("batch",), "found templates in a mapping that only pushes, allowed where a pull makes rows")
    for where, part in _parts(mapping):
        if pulls and not any(spec.pulls() for spec in part.fields):
            yield Problem((*where, "fields"), "found no field that pulls, allowed one at least")
        if pushes and not any(spec.pushes() for spec in part.fields):
            yield Problem((*where, "fields"), "found no field that pushes, allowed one at least")
        if pushes:
            yield from _one_way((*where, "fields"), part)
    if pushes:
        names = given_names(mapping.record)
        own = ((where, path, path[0] in names) for where, path in _written(("fields",), mapping.fields))
        places = [
            *((where, path, False) for where, path in _written_besides(mapping)),
            *written_back(mapping),
            *own,
        ]
        for named in (False, True):
            yield from _collisions((where, path) for where, path, by_name in places if by_name is named)
        for position, child in enumerate(mapping.children):
            yield from _collisions(_written(("children", position, "fields"), child.fields))


def _written_besides(mapping: Mapping) -> Iterator[tuple[Where, Path]]:
    """The places of the remote record that a push writes itself."""
    remote = mapping.remote
    if remote.external_id is not None:
        yield ("remote", "external_id"), parse_path(remote.external_id)
    if remote.deleted is not None:
        path = parse_path(remote.deleted.path)
        # A delete is a request of its own, so a field may write the same place: of many vendors both are one status.
        if path not in {spec.paths[0] for spec in mapping.fields if spec.pushes()}:
            yield ("remote", "deleted", "path"), path


def _one_way(where: Where, part: Mapping | Children) -> Iterator[Problem]:
    """A field that pushes has only transforms with a way back."""
    for position, spec in enumerate(part.fields):
        for use in spec.transform if spec.pushes() else ():
            if use.backward() is None:
                within = f" ({use.origin})" if use.origin else ""
                yield Problem(
                    (*where, position, "transform", use.number),
                    f'found "{use.transform.name}"{within}, which has no way back for a push; allowed with only: pull',
                )


def _written(where: Where, fields: tuple[FieldSpec, ...]) -> Iterator[tuple[Where, Path]]:
    """Where the fields that push write."""
    for position, spec in enumerate(fields):
        if spec.pushes():
            yield (*where, position, "remote"), spec.paths[0]


def _collisions(places: Iterable[tuple[Where, Path]]) -> Iterator[Problem]:
    written: dict[Path, str] = {}
    for where, path in places:
        if any(isinstance(step, int) and step > 0 for step in path):
            yield Problem(where, "found a list position above 0, allowed 0 where a field pushes")
        for other in written:
            if path[: len(other)] == other or other[: len(path)] == path:
                yield Problem(
                    where,
                    f'found "{dotted(path)}" and elsewhere "{written[other]}", allowed one field for each place',
                )
        written[path] = dotted(path)
