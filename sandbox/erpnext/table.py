"""Documents in memory: one table per DocType, with orderings that are sorted once and kept until something changes."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from sandbox.erpnext.doctype import REAL, WHOLE, DocType, Row

Order = tuple[tuple[str, bool], ...]  # (column, descending) from the most to the least important
ACCENT = 200  # combining classes from here on are accents, which the database's collation ignores


def collate(text: str) -> str:
    """The form in which MariaDB's utf8mb4_unicode_ci compares: no case, no accents, no trailing spaces."""
    if text.isascii():
        return text.lower().rstrip(" ")
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if unicodedata.combining(c) < ACCENT).casefold().rstrip(" ")


class Doc:
    """A document: its columns as a list (a tenth of a dict's memory) and its child rows by table field."""

    __slots__ = ("children", "meta", "row")

    def __init__(self, meta: DocType, row: Row, children: dict[str, list["Doc"]] | None = None) -> None:
        self.meta = meta
        self.row = row
        self.children: dict[str, list[Doc]] = {} if children is None else children

    def __getitem__(self, column: str) -> Any:
        return self.row[self.meta.index[column]]

    def __setitem__(self, column: str, value: Any) -> None:
        self.row[self.meta.index[column]] = value

    def get(self, column: str, default: Any = None) -> Any:
        place = self.meta.index.get(column)
        value = None if place is None else self.row[place]
        return default if value is None else value

    @property
    def name(self) -> str:
        return str(self.row[0])

    def rows(self) -> Iterator["Doc"]:
        """All child rows, table by table."""
        for field in self.meta.tables:
            yield from self.children.get(field, ())

    def update(self, values: dict[str, Any]) -> None:
        """Set the columns among `values`; names that are no columns are dropped silently, as the vendor does."""
        index = self.meta.index
        for column, value in values.items():
            if column in index:
                self.row[index[column]] = value

    def copy(self) -> "Doc":
        children = {field: [row.copy() for row in rows] for field, rows in self.children.items()}
        return Doc(self.meta, self.row.copy(), children)


class Timeline:
    """The documents by a time column (then by name), kept up to date by single moves instead of new sorts."""

    def __init__(self, column: str, docs: dict[str, Doc]) -> None:
        self.column = column
        entries = sorted((str(doc[column] or ""), key) for key, doc in docs.items())
        self.keys: list[tuple[str, str]] = entries
        self.docs: list[Doc] = [docs[key] for _, key in entries]
        self._times = {key: time for time, key in entries}

    def place(self, key: str, doc: Doc) -> None:
        """The document's new place, after `forget` if it had one."""
        time = str(doc[self.column] or "")
        at = bisect_left(self.keys, (time, key))
        self.keys.insert(at, (time, key))
        self.docs.insert(at, doc)
        self._times[key] = time

    def forget(self, key: str) -> None:
        at = bisect_left(self.keys, (self._times.pop(key), key))
        del self.keys[at], self.docs[at]

    def between(self, low: tuple[str, bool] | None, high: tuple[str, bool] | None) -> list[Doc]:
        """The documents from `low` to `high`, each a time and whether it is included itself."""
        first = 0 if low is None else bisect_left(self.keys, (low[0] if low[1] else low[0] + "\0",))
        last = len(self.keys) if high is None else bisect_left(self.keys, (high[0] + "\0" if high[1] else high[0],))
        return self.docs[first:last]


class Table:
    """All documents of one DocType, found by name without regard to case."""

    def __init__(self, meta: DocType) -> None:
        self.meta = meta
        self.version = 0
        self._docs: dict[str, Doc] = {}
        self._timelines: dict[str, Timeline] = {}
        self._orders: dict[Order, list[Doc]] = {}
        self._uniques: dict[str, dict[str, str]] = {}
        self._families: dict[str, list[Doc]] = {}

    def __len__(self) -> int:
        return len(self._docs)

    def __iter__(self) -> Iterator[Doc]:
        return iter(self._docs.values())

    def get(self, name: str) -> Doc | None:
        return self._docs.get(collate(name))

    def put(self, doc: Doc) -> None:
        """Insert the document, or put it in the place of the one with its name."""
        key = collate(doc.name)
        known = key in self._docs
        self._docs[key] = doc
        for timeline in self._timelines.values():
            if known:
                timeline.forget(key)
            timeline.place(key, doc)
        self.changed()

    def fill(self, docs: Iterable[Doc]) -> None:
        """Insert many new documents, for seeding."""
        self._docs.update((collate(doc.row[0]), doc) for doc in docs)
        self._timelines.clear()
        self.changed()

    def remove(self, name: str) -> None:
        key = collate(name)
        del self._docs[key]
        for timeline in self._timelines.values():
            timeline.forget(key)
        self.changed()

    def changed(self) -> None:
        """Forget what was sorted or collected; the timelines stay, as they follow each move."""
        self.version += 1
        self._orders.clear()
        self._uniques.clear()
        self._families.clear()

    def widen(self, place: int, empty: Any) -> None:
        """Make room for a new column in each row."""
        for doc in self._docs.values():
            doc.row.insert(place, empty)
        self.changed()

    def timeline(self, column: str) -> Timeline:
        if column not in self._timelines:
            self._timelines[column] = Timeline(column, self._docs)
        return self._timelines[column]

    def ordered(self, order: Order) -> list[Doc]:
        """All documents in the wanted order; columns the DocType does not have are the caller's mistake."""
        if order not in self._orders:
            column, descending = order[0]
            if column == "name":
                pairs = sorted(self._docs.items(), key=itemgetter(0), reverse=descending)
                self._orders[order] = [doc for _, doc in pairs]
            else:
                self._orders[order] = sort_docs(list(self._docs.values()), self.meta, order)
        return self._orders[order]

    def holder(self, column: str, value: str) -> str | None:
        """The name of the document whose unique column holds the value."""
        if column not in self._uniques:
            place = self.meta.index[column]
            taken = ((doc.row[place], doc.name) for doc in self._docs.values())
            self._uniques[column] = {collate(str(held)): name for held, name in taken if held not in (None, "")}
        return self._uniques[column].get(collate(value))

    def family(self, field: str) -> list[Doc]:
        """All child rows of one table field, of all documents."""
        if field not in self._families:
            self._families[field] = [row for doc in self._docs.values() for row in doc.children.get(field, ())]
        return self._families[field]


def sort_key(meta: DocType, column: str) -> Any:
    """A function of a document that orders as the database does: nulls first, text without case."""
    place = meta.index[column]
    fieldtype = meta.types[column].fieldtype
    if fieldtype in WHOLE | REAL:
        return lambda doc: doc.row[place] or 0
    if fieldtype in ("Datetime", "Date", "Time"):
        return lambda doc: doc.row[place] or ""
    return lambda doc: collate(str(doc.row[place] or ""))


def sort_docs(docs: list[Doc], meta: DocType, order: Order) -> list[Doc]:
    """Sort in place by the most important column, then only where it ties by the next; returns the list."""
    if not order or len(docs) < 2:
        return docs
    (column, descending), rest = order[0], order[1:]
    key = sort_key(meta, column)
    docs.sort(key=key, reverse=descending)
    if rest:
        start = 0
        for _, ties in groupby(docs, key=key):
            run = list(ties)
            if len(run) > 1:
                docs[start : start + len(run)] = sort_docs(run, meta, rest)
            start += len(run)
    return docs


def getter(meta: DocType, columns: list[str]) -> Any:
    """A function from a row to the tuple of the wanted columns."""
    places = [meta.index[column] for column in columns]
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)
