"""COQL: one SELECT over one module.

A criterion joins two sides only, so three of them need brackets, as Zoho's examples have it. How quotes are written
inside a text (a backslash before them) and the exact caps of version 8 are UNVERIFIED.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from sandbox.zoho_crm.answers import ZohoError, answer, nothing
from sandbox.zoho_crm.clock import instant_of
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.render import module_of, shown
from sandbox.zoho_crm.schema import Field, Module
from sandbox.zoho_crm.tables import Record

MOST_ROWS: Final = 2_000
MOST_IN: Final = 100
DEFAULT_ROWS: Final = 200
TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_$][\w$.]*)"
    r"|(?P<sign><=|>=|!=|[=<>(),]))"
)
Test = Callable[[Record], bool]


@dataclass
class Query:
    """A SELECT, read."""

    module: Module
    fields: list[str]
    test: Test
    order: list[tuple[str, bool]] = field(default_factory=list)  # field, whether descending
    offset: int = 0
    limit: int = DEFAULT_ROWS


def run(org: Org, body: Any) -> Response:
    """`POST /crm/v8/coql`."""
    text = body.get("select_query") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise ZohoError(400, "MANDATORY_NOT_FOUND", "required field not found", api_name="select_query")
    query = Reader(org, text).query()
    found = [record for record in org.tables[query.module.name] if query.test(record)]
    for name, descending in reversed(query.order or [("id", False)]):
        found.sort(key=lambda record: _sortable(record.get(name)), reverse=descending)
    chosen = found[query.offset : query.offset + query.limit]
    if not chosen:
        return nothing()
    info = {"count": len(chosen), "more_records": len(found) > query.offset + query.limit}
    return answer({"data": [shown(org, query.module, record, query.fields) for record in chosen], "info": info})


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value.casefold() if isinstance(value, str) else value)


def syntax_error(near: str) -> ZohoError:
    return ZohoError(400, "SYNTAX_ERROR", "error occurred while parsing the query", near=near[:40])


class Reader:
    """Reads a SELECT word by word."""

    def __init__(self, org: Org, text: str) -> None:
        self.org = org
        self.tokens = list(_tokens(text))
        self.place = 0

    def query(self) -> Query:
        self.expect("select")
        fields = [self.word()]
        while self.take(","):
            fields.append(self.word())
        self.expect("from")
        module = self.module(self.word())
        self.expect("where")
        query = Query(module, [self.known(module, name) for name in fields], self.condition(module))
        if self.take("order"):
            self.expect("by")
            query.order = [self.sort_key(module)]
            while self.take(","):
                query.order.append(self.sort_key(module))
        if self.take("limit"):
            query.limit = self.number()
            if self.take(","):
                query.offset, query.limit = query.limit, self.number()
        if self.place < len(self.tokens):
            raise syntax_error(self.tokens[self.place][1])
        if query.limit > MOST_ROWS:
            raise ZohoError(400, "LIMIT_EXCEEDED", "maximum number of rows exceeded", limit=MOST_ROWS)
        return query

    def condition(self, module: Module) -> Test:
        """One criterion, or two of them with a word between."""
        left = self.part(module)
        if self.take("and"):
            right = self.part(module)
            return lambda record: left(record) and right(record)
        if self.take("or"):
            right = self.part(module)
            return lambda record: left(record) or right(record)
        return left

    def part(self, module: Module) -> Test:
        if self.take("("):
            inner = self.condition(module)
            self.expect(")")
            return inner
        return self.criterion(module)

    def criterion(self, module: Module) -> Test:
        name = self.known(module, self.word().removesuffix(".id"))
        found = module.fields.get(name, Field("id", "text"))
        if self.take("is"):
            empty = not self.take("not")
            self.expect("null")
            return lambda record: (record.get(name) in (None, "")) is empty
        if self.take("not"):
            self.expect("in")
            values = self.values(found)
            return lambda record: _comparable(found, record.get(name)) not in values
        if self.take("in"):
            values = self.values(found)
            return lambda record: _comparable(found, record.get(name)) in values
        sign, wanted = self.sign(), self.value(found)
        compare = SIGNS[sign]

        def test(record: Record) -> bool:
            value = _comparable(found, record.get(name))
            return value is not None and compare(value, wanted)

        return test

    def values(self, found: Field) -> list[Any]:
        self.expect("(")
        values = [self.value(found)]
        while self.take(","):
            values.append(self.value(found))
        self.expect(")")
        if len(values) > MOST_IN:
            raise ZohoError(400, "LIMIT_EXCEEDED", "maximum number of values exceeded", limit=MOST_IN)
        return values

    def value(self, found: Field) -> Any:
        kind, text = self.next()
        if kind not in ("text", "number", "word"):
            raise syntax_error(text)
        plain = re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "text" else text
        read = READERS.get(found.data_type, str.casefold)(plain)
        if read is None:
            raise ZohoError(400, "INVALID_QUERY", "invalid value", column_name=found.api_name)
        return read

    def sort_key(self, module: Module) -> tuple[str, bool]:
        name = self.known(module, self.word())
        descending = self.take("desc")
        if not descending:
            self.take("asc")
        return name, descending

    def module(self, name: str) -> Module:
        found = module_of(self.org, name)
        if found is None:
            raise ZohoError(400, "INVALID_QUERY", "the module name given seems to be invalid", module=name)
        return found

    def known(self, module: Module, name: str) -> str:
        if name != "id" and name not in module.listed:
            raise ZohoError(400, "INVALID_QUERY", "column given seems to be invalid", column_name=name)
        return name

    def next(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise syntax_error("")
        self.place += 1
        return self.tokens[self.place - 1]

    def take(self, wanted: str) -> bool:
        kind, text = self.tokens[self.place] if self.place < len(self.tokens) else ("", "")
        if kind == "text" or text.lower() != wanted:
            return False
        self.place += 1
        return True

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise syntax_error(self.tokens[self.place][1] if self.place < len(self.tokens) else "")

    def word(self) -> str:
        kind, text = self.next()
        if kind != "word":
            raise syntax_error(text)
        return text

    def number(self) -> int:
        kind, text = self.next()
        if kind != "number" or not text.isdigit():
            raise syntax_error(text)
        return int(text)

    def sign(self) -> str:
        _, text = self.next()
        if text not in SIGNS:
            raise syntax_error(text)
        return text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while text[place:].strip():
        found = TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise syntax_error(text[place:])
        yield found.lastgroup, found[found.lastgroup]
        place = found.end()


def _comparable(found: Field, value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "datetime": instant_of,
    "boolean": _boolean,
    "currency": _decimal,
    "double": _decimal,
    "integer": _decimal,
    "bigint": _decimal,
}
SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}
