"""What a mapping may not say of its record templates although each of them is well formed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from erpflow.mapping.paths import Path, parse_path
from erpflow.mapping.template_use import RecordUse, given_names
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import Problem, Where, dotted

if TYPE_CHECKING:
    from erpflow.mapping.model import Mapping


def check_records(mapping: Mapping) -> Iterator[Problem]:
    """What is wrong with the names that record templates give, and with what reads them."""
    if mapping.record:
        yield from _names(mapping)
        yield from _reaches(mapping)
        if mapping.direction is not Direction.PULL:
            yield from _way_back(mapping)


def _names(mapping: Mapping) -> Iterator[Problem]:
    """A name is given once, and hides nothing that the mapping reads of the record unless that is said."""
    read = {_first(mapping.remote.key): "remote.key"}
    if mapping.remote.modified is not None:
        read.setdefault(_first(mapping.remote.modified), "remote.modified")
    givers: dict[str, str] = {}
    for position, use in enumerate(mapping.record):
        for key, name in use.gives:
            where = ("record", position, use.template.name, "gives", key)
            rename = f"{{gives: {{{key}: …}}}}"
            if name in givers:
                yield Problem(where, f'found "{name}", given by {givers[name]} already; allowed another name: {rename}')
            elif name in read and name not in use.outspoken:
                yield Problem(
                    where,
                    f'found "{name}", which would hide what {read[name]} reads of the record; allowed another name: '
                    f"{rename}, or {{gives: {{{key}: {name}}}}} if that is meant",
                )
            givers.setdefault(name, f"the template {use.template.name}")
        for path in _reads_of_record(use, before=given_names(mapping.record[:position])):
            read.setdefault(str(path[0]), f"the template {use.template.name}")


def _first(path: str) -> str:
    return str(parse_path(path)[0])


def _reads_of_record(use: RecordUse, *, before: frozenset[str]) -> Iterator[Path]:
    return (path for paths in use.paths for path in paths if path[0] not in before)


def _reaches(mapping: Mapping) -> Iterator[Problem]:
    """A given value is taken whole, and lines come out of the record."""
    for position, use in enumerate(mapping.record):
        before = given_names(mapping.record[:position])
        for (key, _), paths in zip(use.reads, use.paths, strict=True):
            yield from _into(("record", position, use.template.name, "reads", key), paths, before)
    names = given_names(mapping.record)
    for position, spec in enumerate(mapping.fields):
        yield from _into(("fields", position, "remote"), spec.paths, names)
    for position, child in enumerate(mapping.children):
        for path in child.paths:
            if path[0] in names:
                message = f'found "{path[0]}", which a template gives; allowed a list of the record'
                yield Problem(("children", position, "remote"), message)


def _into(where: Where, paths: tuple[Path, ...], names: frozenset[str]) -> Iterator[Problem]:
    for path in paths:
        if path[0] in names and len(path) > 1:
            message = f'found "{dotted(path)}", which goes into what a template gives; allowed "{path[0]}" alone'
            yield Problem(where, message)


def _pushed(mapping: Mapping) -> dict[str, Where]:
    """The names that a field pushes, with the place of the first such field."""
    names = given_names(mapping.record)
    found: dict[str, Where] = {}
    for position, spec in enumerate(mapping.fields):
        if spec.pushes() and spec.paths[0][0] in names:
            found.setdefault(str(spec.paths[0][0]), ("fields", position, "remote"))
    return found


def taken_back(mapping: Mapping) -> Iterator[tuple[int, RecordUse, Where]]:
    """The templates a push goes back through, the last first, each with its position and a field that wants it."""
    pushed = _pushed(mapping)
    for position in reversed(range(len(mapping.record))):
        use = mapping.record[position]
        wanted = [pushed[name] for name in use.names if name in pushed]
        if wanted:
            yield position, use, wanted[0]
            for paths in use.paths:
                if paths[0][0] in given_names(mapping.record[:position]):
                    pushed.setdefault(str(paths[0][0]), wanted[0])


def written_back(mapping: Mapping) -> Iterator[tuple[Where, Path, bool]]:
    """Where the templates write on a push, and whether that is a name given before in place of a path."""
    for position, use, _ in taken_back(mapping):
        before = given_names(mapping.record[:position])
        for (key, _paths), paths in zip(use.reads, use.paths, strict=True):
            yield ("record", position, use.template.name, "reads", key), paths[0], paths[0][0] in before


def _way_back(mapping: Mapping) -> Iterator[Problem]:
    """A template that a push goes back through can, and gets all that it needs."""
    pushed = _pushed(mapping)
    for position, use, where in taken_back(mapping):
        name = use.template.name
        if use.function.reverse is None:
            yield Problem(
                where,
                f"found a value of the template {name}, which has no way back for a push ({use.function.name} has no "
                "reverse); allowed with only: pull",
            )
        missing = [one for one in use.names if one not in pushed]
        if use.function.reverse is not None and missing:
            yield Problem(
                where,
                f"found a value of the template {name}, which cannot go back without {', '.join(missing)}; allowed "
                "with a field that pushes each of them, or with only: pull",
            )
        before = given_names(mapping.record[:position])
        pushed |= {str(paths[0][0]): where for paths in use.paths if paths[0][0] in before}
