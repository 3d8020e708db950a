"""The vendor's query language, the part it documents: one entity, conditions joined by AND, order, a slice."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.quickbooks.company import Company, Row, Values
from sandbox.quickbooks.entities import ENTITIES, TIMES
from sandbox.quickbooks.faults import invalid_query, parse_error

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<sign><=|>=|=|<|>|\(|\)|,|\*)
    )""",
    re.VERBOSE | re.DOTALL,
)
COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, wanted: bool(found == wanted),
    "<": lambda found, wanted: bool(found < wanted),
    ">": lambda found, wanted: bool(found > wanted),
    "<=": lambda found, wanted: bool(found <= wanted),
    ">=": lambda found, wanted: bool(found >= wanted),
}
DEFAULT_MOST = 100


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    sign: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class Statement:
    """`columns` are None for `*` alone, and empty for `count(*)`."""

    entity: str
    columns: tuple[str, ...]
    counts: bool = False
    where: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # field, and whether it goes down
    start: int = 1
    most: int = DEFAULT_MOST


def run(company: Company, text: str) -> dict[str, Any]:
    """The answer's `QueryResponse`. Raises Refused."""
    statement = Parser(text).statement()
    rows = [row for row in company.tables[statement.entity].values() if _matches(statement, row)]
    if statement.counts:
        return {"totalCount": len(rows)}
    for field, is_down in reversed(statement.order or (("Id", False),)):
        rows.sort(key=lambda row: _sortable(_at(row.values, field), field), reverse=is_down)
    most = min(statement.most, company.switches.query_most)
    found = rows[statement.start - 1 : statement.start - 1 + most]
    if not found:
        return {}
    shown = [_shown(statement, row.values) for row in found]
    return {statement.entity: shown, "startPosition": statement.start, "maxResults": len(shown)}


class Parser:
    """A statement, word by word. Raises Refused with 4000 for what is no statement, 4001 for what it may not ask."""

    def __init__(self, text: str) -> None:
        self.words: list[tuple[str, str]] = []
        position = 0
        text = text.strip()
        while position < len(text):
            found = TOKEN.match(text, position)
            if found is None:
                raise parse_error(f"Encountered {text[position : position + 20]!r}")
            kind = str(found.lastgroup)
            self.words.append((kind, found[kind]))
            position = found.end()
        self.place = 0

    def statement(self) -> Statement:
        self._expect("select")
        columns, counts = self._columns()
        self._expect("from")
        kind, name = self._next()
        entity = next((known for known in ENTITIES if known.lower() == name.lower()), None)
        if kind != "name" or entity is None:
            raise invalid_query(f"{name} is not a queryable entity")
        made = Statement(entity, columns, counts)
        if self._takes("where"):
            made.where = self._conditions(entity)
        if self._takes("orderby") or (self._takes("order") and self._expect("by")):
            made.order = self._order(entity)
        if self._takes("startposition"):
            made.start = self._number()
        if self._takes("maxresults"):
            made.most = self._number()
        if self.place < len(self.words):
            raise parse_error(f'Encountered " {self.words[self.place][1]} "')
        if made.start < 1:
            raise invalid_query("STARTPOSITION begins at 1")
        return made

    def _columns(self) -> tuple[tuple[str, ...], bool]:
        columns: list[str] = []
        while True:
            kind, word = self._next()
            if word.lower() == "count":
                for sign in ("(", "*", ")"):
                    self._expect(sign)
                return (), True
            if kind not in ("name", "sign") or word in "(),":
                raise parse_error(f'Encountered " {word} "')
            columns.append(word)
            if not self._takes(","):
                return tuple(columns), False

    def _conditions(self, entity: str) -> tuple[Condition, ...]:
        made = [self._condition(entity)]
        while self._takes("and"):
            made.append(self._condition(entity))
        return tuple(made)

    def _condition(self, entity: str) -> Condition:
        field = self._field(entity)
        _, sign = self._next()
        if sign.lower() == "in":
            self._expect("(")
            values = [self._value()]
            while self._takes(","):
                values.append(self._value())
            self._expect(")")
            return Condition(field, "in", tuple(values))
        if sign.lower() != "like" and sign not in COMPARES:
            raise parse_error(f'Encountered " {sign} "')
        return Condition(field, sign.lower(), (self._value(),))

    def _order(self, entity: str) -> tuple[tuple[str, bool], ...]:
        made = []
        while True:
            field = self._field(entity)
            is_down = self._takes("desc")
            if not is_down:
                self._takes("asc")
            made.append((field, is_down))
            if not self._takes(","):
                return tuple(made)

    def _field(self, entity: str) -> str:
        kind, word = self._next()
        if kind != "name":
            raise parse_error(f'Encountered " {word} "')
        definition = ENTITIES[entity]
        known = {*definition.filters, *TIMES, "Id", *({"Active"} if definition.is_list else ())}
        field: str | None = next((name for name in known if name.lower() == word.lower()), None)
        if field is None:
            raise invalid_query(f"Property {word} not found for Entity {entity}, or it is not queryable")
        return field

    def _value(self) -> Any:
        kind, word = self._next()
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
        if kind == "number":
            return Decimal(word)
        if word.lower() in ("true", "false"):
            return word.lower() == "true"
        raise parse_error(f'Encountered " {word} "')

    def _number(self) -> int:
        kind, word = self._next()
        if kind != "number" or not word.isdecimal():
            raise parse_error(f'Encountered " {word} "')
        return int(word)

    def _next(self) -> tuple[str, str]:
        if self.place >= len(self.words):
            raise parse_error("Encountered <EOF>")
        self.place += 1
        return self.words[self.place - 1]

    def _takes(self, word: str) -> bool:
        if self.place < len(self.words) and self.words[self.place][1].lower() == word:
            self.place += 1
            return True
        return False

    def _expect(self, word: str) -> bool:
        if not self._takes(word):
            found = self.words[self.place][1] if self.place < len(self.words) else "<EOF>"
            raise parse_error(f'Encountered " {found} " where {word!r} was expected')
        return True


def _matches(statement: Statement, row: Row) -> bool:
    """Inactive names are there only for those who ask about `Active`."""
    if not row.is_active and not any(condition.field == "Active" for condition in statement.where):
        return False
    return all(_holds(condition, _at(row.values, condition.field)) for condition in statement.where)


def _holds(condition: Condition, found: Any) -> bool:
    if condition.field in TIMES:
        found, values = _moment(found), tuple(_asked_moment(value) for value in condition.values)
    else:
        values = tuple(_comparable(value, found) for value in condition.values)
        found = found.casefold() if isinstance(found, str) else found
    if condition.sign == "in":
        return found in values
    if condition.sign == "like":
        pattern = ".*".join(re.escape(part) for part in str(values[0]).split("%"))
        return isinstance(found, str) and re.fullmatch(pattern, found, re.DOTALL) is not None
    if found is None or isinstance(found, str) != isinstance(values[0], str):
        return False
    return COMPARES[condition.sign](found, values[0])


def _comparable(value: Any, found: Any) -> Any:
    """Texts compare without case; a number may be asked for in quotes."""
    if isinstance(value, str) and isinstance(found, int | Decimal) and not isinstance(found, bool):
        try:
            return Decimal(value)
        except InvalidOperation:
            return value
    return value.casefold() if isinstance(value, str) else value


def _at(values: Values, field: str) -> Any:
    for part in field.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None  # type: ignore[assignment]
    found: Any = values
    if isinstance(found, Mapping):  # a reference is compared by its id, an e-mail address by itself
        return found.get("value", found.get("Address"))
    return found


def _sortable(value: Any, field: str) -> tuple[Any, ...]:
    if field == "Id":
        return (0, int(value))
    if field in TIMES:
        return (0, _moment(value))
    return (1, "") if value is None else (0, value.casefold() if isinstance(value, str) else value)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _asked_moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid_query(f"{value!r} is not a date or time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(statement: Statement, values: Values) -> Values:
    """The columns that were asked for; some come only to those who name them."""
    if "*" in statement.columns:
        left_out = ENTITIES[statement.entity].unasked - set(statement.columns)
        return {name: value for name, value in values.items() if name not in left_out}
    wanted = {*(column.split(".")[0] for column in statement.columns), "domain", "sparse"}
    return {name: value for name, value in values.items() if name in wanted}
