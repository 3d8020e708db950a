"""`$filter`: the subset the Service Layer reads, as a test of a row. Everything else is refused, as the vendor does."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox.sap_b1.errors import malformed, unknown_property
from sandbox.sap_b1.schema import Property, Type, schema
from sandbox.sap_b1.values import scalar

Row = dict[str, Any]
Test = Callable[[Row], bool]
TOKEN = re.compile(r"\s*(?:(datetime|time)?'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)(?![\w.])|([A-Za-z_@]\w*)|([(),]))")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, part: part in text,
    "substringof": lambda part, text: part in text,
}
DEEPEST = 60


@dataclass(slots=True)
class Parser:
    """Recursive descent over the tokens of one filter."""

    text: str
    kind: Type
    ignore_case: bool = False
    tokens: list[tuple[str, str]] = field(default_factory=list)
    depth: int = 0

    def parse(self) -> Test:
        place = 0
        while place < len(self.text.rstrip()):
            found = TOKEN.match(self.text, place)
            if found is None:
                raise malformed(f"Invalid character in filter at position {place}: {self.text[place : place + 20]!r}")
            _, quoted, number, word, mark = found.groups()
            kinds = (("text", quoted), ("number", number), ("word", word), ("mark", mark))
            name, value = next((name, value) for name, value in kinds if value is not None)
            self.tokens.append((name, value.replace("''", "'") if name == "text" else value))
            place = found.end()
        test = self.either()
        if self.tokens:
            raise malformed(f"Unexpected {self.tokens[0][1]!r} in filter")
        return test

    def either(self) -> Test:
        self.depth += 1
        if self.depth > DEEPEST:
            raise malformed("The filter is nested too deep")
        tests = [self.all_of()]
        while self.takes("or"):
            tests.append(self.all_of())
        self.depth -= 1
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def all_of(self) -> Test:
        tests = [self.one()]
        while self.takes("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self.takes("not"):
            inner = self.one()
            return lambda row: not inner(row)
        if self.takes("("):
            inner = self.either()
            self.expect(")")
            return inner
        name, value = self.next()
        if name == "word" and value in FUNCTIONS:
            return self.function(value)
        if name != "word":
            raise malformed(f"A property was expected in filter, not {value!r}")
        return self.comparison(self.property(value))

    def comparison(self, declared: Property) -> Test:
        _, word = self.next()
        compare = COMPARISONS.get(word)
        if compare is None:
            raise malformed(f"The operator {word!r} is not supported in filter")
        name, value = self.next()
        if (name, value) == ("word", "null"):
            return null_test(declared.name, word)
        if name not in ("text", "number"):
            raise malformed(f"A value was expected in filter, not {value!r}")
        wanted = scalar(Decimal(value) if name == "number" else value, declared)
        if wanted is None:
            raise malformed(f"The value {value!r} does not fit the property {declared.name!r}")
        fold = self.fold
        column, wanted = declared.name, fold(wanted)

        def test(row: Row) -> bool:
            found = row.get(column)
            return found is not None and compare(fold(found), wanted)

        return test

    def function(self, name: str) -> Test:
        self.expect("(")
        first = self.next()
        self.expect(",")
        second = self.next()
        self.expect(")")
        column, wanted = (second, first) if name == "substringof" else (first, second)
        if column[0] != "word" or wanted[0] != "text":
            raise malformed(f"{name} takes a property and a text")
        declared, text, fold = self.property(column[1]), self.fold(wanted[1]), self.fold
        compare = FUNCTIONS[name]

        def test(row: Row) -> bool:
            found = fold(row.get(declared.name) or "")
            return compare(text, found) if name == "substringof" else compare(found, text)

        return test

    def property(self, name: str) -> Property:
        declared = self.kind.properties.get(name)
        if declared is None:
            raise unknown_property(name, self.kind.name)
        if declared.many or declared.type in schema().types:
            raise malformed(f"The collection {name!r} cannot be filtered")
        return declared

    def fold(self, value: Any) -> Any:
        return value.casefold() if self.ignore_case and isinstance(value, str) else value

    def takes(self, word: str) -> bool:
        if self.tokens and self.tokens[0][0] in ("word", "mark") and self.tokens[0][1] == word:
            del self.tokens[0]
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.takes(mark):
            raise malformed(f"{mark!r} was expected in filter")

    def next(self) -> tuple[str, str]:
        if not self.tokens:
            raise malformed("The filter ends too early")
        return self.tokens.pop(0)


def null_test(column: str, word: str) -> Test:
    if word == "eq":
        return lambda row: row.get(column) is None
    if word == "ne":
        return lambda row: row.get(column) is not None
    raise malformed("null can only be compared with eq and ne")


def test_of(text: str, kind: Type, *, ignore_case: bool) -> Test:
    """A filter as a test. Raises ServiceError for what the vendor does not read."""
    return Parser(text, kind, ignore_case).parse()
