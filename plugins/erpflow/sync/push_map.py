"""The second step of a push: changed rows in the vendor's shape, and only what changed of them.

A row that only looks changed is noted and not sent. A row that the mapping cannot send is refused, with every problem.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from erpflow.errors import FieldProblem, RecordRejected
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.model import Mapping
from erpflow.mapping.paths import parse_path, plant
from erpflow.mapping.push import PushProgram
from erpflow.store import push as store
from erpflow.store.pull import Connection
from erpflow.store.pull_sql import LookupTarget
from erpflow.sync.merge import Rules, numbers_of, plain
from erpflow.sync.push_landing import LocalChange, Outgoing, RefusedRow, RequestBatch
from erpflow.vocabulary import Deletes, FieldConflict, Operation

Texts = dict[str, str | None]

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode
texts_of: Callable[[bytes], Texts] = msgspec.json.Decoder().decode
"""A row, or what was agreed on of it, as the database wrote it."""


@dataclass(frozen=True, slots=True)
class PushLookups:
    """The look-up columns of a mapping: by column, and by child table and column."""

    columns: dict[str, LookupTarget]
    lines: dict[str, dict[str, LookupTarget]]


@dataclass(slots=True)
class _Found:
    """What the vendor calls the things that the rows of a batch refer to, by look-up and local value."""

    names: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)


class PushMapper:
    """Turns changes into requests for one run."""

    def __init__(
        self,
        program: PushProgram,
        rules: Rules,
        lookups: PushLookups,
        connection: Connection,
        *,
        bulk_size: int,
        replaces: bool = False,
    ) -> None:
        self._program = program
        self._mapping: Mapping = program.mapping
        self._counters = {name for name, rule in rules.items() if rule.strategy is FieldConflict.DELTA}
        self._lookups = lookups
        self._connection = connection
        self._bulk_size = bulk_size
        self._replaces = replaces
        self._line_json = {
            child.local: {spec.local for spec in child.fields if spec.type is FieldType.JSON}
            for child in self._mapping.children
        }
        # The columns that are sent as more than the texts they are read as.
        self._decoded = [spec.local for spec in self._mapping.fields if spec.type is FieldType.JSON and spec.local]
        self._translated = tuple(dict.fromkeys((*lookups.columns, *self._line_json)))

    def batches(self, changes: Iterable[Sequence[LocalChange]], *, first: int = 1) -> Iterator[list[RequestBatch]]:
        """Requests in batches of one operation, numbered from `first`: a list for each batch that was scanned.

        What of a scanned batch is not sent travels with its first requests.
        """
        number = first - 1
        for batch in changes:
            made: list[RequestBatch] = []
            for operation in Operation:
                chosen = [change for change in batch if change.operation is operation]
                mapped = self._batch(chosen)
                for start in range(0, max(len(mapped.requests), 1 if chosen else 0), self._bulk_size):
                    number += 1
                    made.append(
                        RequestBatch(
                            number=number,
                            requests=mapped.requests[start : start + self._bulk_size],
                            refused=mapped.refused if start == 0 else [],
                            unchanged=mapped.unchanged if start == 0 else [],
                        )
                    )
            yield made

    def _batch(self, changes: Sequence[LocalChange]) -> _Mapped:
        rows = [texts_of(change.values) if change.values is not None else {} for change in changes]
        found = self._look_up(rows)
        mapped = _Mapped()
        for change, values in zip(changes, rows, strict=True):
            if change.operation is Operation.DELETE:
                self._delete(change, mapped)
            else:
                self._write(change, values, found, mapped)
        return mapped

    def _delete(self, change: LocalChange, mapped: _Mapped) -> None:
        flag = self._mapping.remote.deleted
        soft = self._mapping.deletes.push is Deletes.SOFT and flag is not None
        request: dict[str, Any] = {}
        if soft and flag is not None:
            plant(request, parse_path(flag.path), flag.value)
        mapped.requests.append(
            Outgoing(
                operation=Operation.DELETE,
                local_id=change.local_id,
                remote_id=change.remote_id,
                version=change.version,
                agreed=change.agreed,
                agreed_remote=_unversioned(change),
                request=encode(request),
                before=_agreed(change.agreed_local),
                after={},
                values=None,
                hash=None,
            )
        )

    def _write(self, change: LocalChange, values: Texts, found: _Found, mapped: _Mapped) -> None:
        is_update = change.operation is Operation.UPDATE
        before, after, sent = _NONE, _NONE, values
        if is_update:
            agreed = _agreed(change.agreed_local)
            was = agreed.get
            changed = [name for name, value in values.items() if value != was(name)]
            if not changed:
                mapped.unchanged.append((change.local_id, change.hash))
                return
            sent = self._sent(change, values, agreed, changed)
            before, after = {name: was(name) for name in changed}, {name: sent[name] for name in changed}
        try:
            row = self._row(sent, found) if self._translated or self._decoded else sent
            request = self._program.map_row(row, constants=not is_update)
        except RecordRejected as rejected:
            mapped.refused.append(
                RefusedRow(
                    change.operation, change.local_id, change.remote_id, values, change.hash, list(rejected.problems)
                )
            )
            return
        mapped.requests.append(
            Outgoing(
                change.operation,
                change.local_id,
                change.remote_id,
                change.version,
                change.agreed,
                _unversioned(change),
                encode(request),
                before,
                after,
                change.values,
                change.hash,
            )
        )

    def _sent(self, change: LocalChange, values: Texts, agreed: Texts, changed: Sequence[str]) -> Texts:
        """What is sent of an update: the fields that changed and what must go with them.

        Of a counter it is the vendor's number and what it grew by here.
        """
        names = self._program.with_companions(values if self._replaces else changed)
        sent = {name: values[name] for name in names if name in values}
        counters = self._counters.intersection(sent)
        if counters:
            theirs = _agreed(change.agreed_remote)
            sent |= {name: _sum(theirs.get(name), sent[name], agreed.get(name)) for name in counters}
        return sent

    # -- values --------------------------------------------------------------------------------------------------

    def _row(self, values: Texts, found: _Found) -> dict[str, Any]:
        """The values as the program takes them: JSON decoded, look-ups resolved, lines as rows."""
        problems: list[FieldProblem] = []
        row: dict[str, Any] = dict(values)
        for name in self._decoded:
            if (text := row.get(name)) is not None:
                row[name] = decode(text)
        for name in self._translated:
            if name in row:
                row[name] = self._translate(name, row[name], found, problems)
        if problems:
            raise RecordRejected(problems)
        return row

    def _translate(self, name: str, text: str | None, found: _Found, problems: list[FieldProblem]) -> Any:
        if name in self._line_json:
            lines = json.loads(text or "[]")
            return [self._line(name, line, number, found, problems) for number, line in enumerate(lines)]
        return self._value(name, text, found.names.get(("", name)), problems)

    def _line(
        self, table: str, line: Texts, number: int, found: _Found, problems: list[FieldProblem]
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, text in line.items():
            names = found.names.get((table, name)) if name in self._lookups.lines.get(table, {}) else None
            where = f"{table.partition('.')[2]}[{number}].{name}"
            value = self._value(where, text, names, problems)
            made[name] = decode(value) if name in self._line_json[table] and value is not None else value
        return made

    def _value(
        self, where: str, text: str | None, names: dict[str, str] | None, problems: list[FieldProblem]
    ) -> str | None:
        """A text as it is, or what the vendor calls what it refers to."""
        if text is None or names is None:
            return text
        if text not in names:
            problems.append(
                FieldProblem(
                    field=where,
                    rule="lookup",
                    value=text[:200],
                    message=f'{where}: what it refers to ("{text[:80]}") is not known to the vendor. Sync that first.',
                )
            )
            return None
        return names[text]

    def _look_up(self, rows: Sequence[Texts]) -> _Found:
        """Resolve every reference of a batch, in one statement for each look-up."""
        found = _Found()
        for name, lookup in self._lookups.columns.items():
            found.names[("", name)] = self._resolve(lookup, {row.get(name) for row in rows})
        for table, lookups in self._lookups.lines.items():
            lines = [line for row in rows for line in json.loads(row.get(table) or "[]")]
            for name, lookup in lookups.items():
                found.names[(table, name)] = self._resolve(lookup, {line.get(name) for line in lines})
        return found

    def _resolve(self, lookup: LookupTarget, values: set[str | None]) -> dict[str, str]:
        wanted = sorted(value for value in values if value is not None)
        return store.remote_names(self._connection, lookup, wanted) if wanted else {}


@dataclass(slots=True)
class _Mapped:
    """What became of the changes of one batch."""

    requests: list[Outgoing] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    unchanged: list[tuple[str, int | None]] = field(default_factory=list)


_NONE: Texts = {}


def _unversioned(change: LocalChange) -> bytes | None:
    """What was agreed on at the vendor, of a record of which no version tells whether it has changed."""
    return change.agreed_remote if change.version is None else None


def _agreed(values: bytes | None) -> Texts:
    return texts_of(values) if values is not None else {}


def _sum(theirs: str | None, ours: str | None, base: str | None) -> str | None:
    """The vendor's number and what it grew by here; ours when they are no numbers."""
    numbers = numbers_of(theirs, ours, base)
    if numbers is None:
        return ours
    now, grown, was = numbers
    return plain(now + grown - was)
