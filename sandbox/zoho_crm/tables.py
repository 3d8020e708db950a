"""The records of one module, with the orders and indexes that Zoho's answers need."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from sandbox.zoho_crm.schema import Module

Record = dict[str, Any]
"""By API name. `id` as text; look-ups as ids; times as seconds since 1970; amounts as Decimal."""


class Table:
    """The records of a module by their ids."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.records: dict[str, Record] = {}
        self._taken: dict[str, dict[str, str]] = {name: {} for name in module.unique}
        self._in_order: list[tuple[int, int, str]] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records.values())

    def get(self, record_id: str) -> Record | None:
        return self.records.get(record_id)

    def put(self, record: Record) -> None:
        before = self.records.get(record["id"])
        if before is not None:
            self._free(before)
        self.records[record["id"]] = record
        for name, taken in self._taken.items():
            if record.get(name) not in (None, ""):
                taken[str(record[name]).casefold()] = record["id"]
        self._in_order = None

    def remove(self, record_id: str) -> None:
        self._free(self.records.pop(record_id))
        self._in_order = None

    def holder(self, name: str, value: Any) -> str | None:
        """The id of the record that holds a value of a unique field."""
        return self._taken[name].get(str(value).casefold())

    def by_value(self, name: str, value: Any) -> str | None:
        """The id of the oldest record that holds a value, compared without case."""
        if name in self._taken:
            return self.holder(name, value)
        wanted = str(value).casefold()
        return next((row["id"] for row in self if str(row.get(name) or "").casefold() == wanted), None)

    def in_order(self, *, after: int | None, inclusive: bool = False) -> list[str]:
        """The ids by time of modification, of those modified after a time (or at it).

        The order among those of one second is anything but that of their ids: Zoho promises none.
        """
        if self._in_order is None:
            self._in_order = sorted((row["Modified_Time"], crc32(row["id"].encode()), row["id"]) for row in self)
        if after is None:
            start = 0
        elif inclusive:
            start = bisect_left(self._in_order, (after, -1, ""))
        else:
            start = bisect_right(self._in_order, (after, 1 << 32, ""))
        return [record_id for _, _, record_id in self._in_order[start:]]

    def _free(self, record: Record) -> None:
        for name, taken in self._taken.items():
            value = record.get(name)
            if value not in (None, ""):
                taken.pop(str(value).casefold(), None)
