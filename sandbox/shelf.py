"""Tables of records with the time of their last change, for vendors that are small: the state, and its side door."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import refusing

Row = dict[str, Any]
encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted, and when."""

    table: str
    id: int
    at: datetime


@dataclass
class Shelf:
    """Rows by table and id. `stamps` hold when each was changed last, by a clock on which no two changes are alike."""

    tables: dict[str, dict[int, Row]]
    stamps: dict[str, dict[int, datetime]] = field(default_factory=dict)
    deletions: list[Deletion] = field(default_factory=list)
    last: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        for name in self.tables:
            self.stamps.setdefault(name, {})

    def tick(self) -> datetime:
        """Now, and always later than before."""
        self.last = max(datetime.now(UTC), self.last + timedelta(microseconds=1))
        return self.last

    def add(self, table: str, row: Row, *, at: datetime | None = None, number: int | None = None) -> int:
        """Put a new row on the shelf; its id, the next one unless it is given."""
        number = number or max(self.tables[table], default=0) + 1
        gone = max((deletion.id for deletion in self.deletions if deletion.table == table), default=0)
        number = max(number, gone + 1) if number not in self.tables[table] and at is None else number
        self.tables[table][number] = {"id": number, **row}
        self.stamps[table][number] = at or self.tick()
        return number

    def change(self, table: str, number: int, values: Mapping[str, Any]) -> None:
        """Change some fields of a row."""
        self.tables[table][number].update(values)
        self.stamps[table][number] = self.tick()

    def remove(self, table: str, number: int) -> None:
        """Delete a row, and remember it."""
        del self.tables[table][number], self.stamps[table][number]
        self.deletions.append(Deletion(table, number, self.tick()))

    def ordered(self, table: str) -> list[tuple[datetime, int]]:
        """When each row was changed last, and its id, the earliest first."""
        return sorted((at, number) for number, at in self.stamps[table].items())


def shelf_routes(shelf: Shelf, *, complete: Callable[[str, Row], Row]) -> list[Route]:
    """What a person does in the vendor's screens: insert, touch, change, remove, restore, row, stamps.

    `complete` makes a whole row of what was given. None of them checks what the API would refuse.
    """
    door = _Door(shelf, complete)
    posts = {"insert": door.insert, "touch": door.touch, "change": door.change, "remove": door.remove}
    posts["restore"] = door.restore
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    gets = {"row": door.row, "stamps": door.stamps}
    return routes + [Route(f"/{path}", refusing(handler), methods=["GET"]) for path, handler in gets.items()]


def answer(value: Any, *, status: int = 200) -> Response:
    """JSON with amounts as numbers of exactly their digits."""
    return Response(encode(value), status_code=status, media_type="application/json")


class _Door:
    def __init__(self, shelf: Shelf, complete: Callable[[str, Row], Row]) -> None:
        self.shelf = shelf
        self.complete = complete

    async def insert(self, request: Request) -> Response:
        given = decode(await request.body())
        table = self._table(given)
        return answer({"ids": [self.shelf.add(table, self.complete(table, row)) for row in given["rows"]]})

    async def touch(self, request: Request) -> Response:
        """Save rows again: one after the other, or all at one moment with `same`."""
        given = decode(await request.body())
        table, at = self._table(given), self.shelf.tick() if given.get("same") else None
        for number in self._numbers(given["ids"]):
            self.shelf.stamps[table][number] = at or self.shelf.tick()
        return answer({})

    async def change(self, request: Request) -> Response:
        given = decode(await request.body())
        table = self._table(given)
        (number,) = self._numbers([given["id"]])
        row = {**self.shelf.tables[table][number], **given["set"]}
        self.shelf.change(table, number, self.complete(table, row))
        return answer({})

    async def remove(self, request: Request) -> Response:
        given = decode(await request.body())
        for number in self._numbers(given["ids"]):
            self.shelf.remove(self._table(given), number)
        return answer({})

    async def restore(self, request: Request) -> Response:
        """A row with the id of a deleted one."""
        given = decode(await request.body())
        table = self._table(given)
        (number,) = self._numbers([given["id"]])
        self.shelf.add(table, self.complete(table, given.get("row", {})), at=self.shelf.tick(), number=number)
        return answer({"id": number})

    async def row(self, request: Request) -> Response:
        table, text = self._table(request.query_params), request.query_params.get("id", "")
        found = self.shelf.tables[table].get(int(text)) if text.isdigit() else None
        return answer(found)

    async def stamps(self, request: Request) -> Response:
        stamps = self.shelf.stamps[self._table(request.query_params)]
        return answer({str(number): at.isoformat() for number, at in stamps.items()})

    def _table(self, given: Mapping[str, Any]) -> str:
        table = str(given.get("table"))
        if table not in self.shelf.tables:
            raise ValueError(f"There is no table {table!r}; there are {', '.join(self.shelf.tables)}.")
        return table

    def _numbers(self, ids: Iterable[Any]) -> list[int]:
        return [int(number) for number in ids]
