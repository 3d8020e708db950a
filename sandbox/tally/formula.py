"""The formulas of filters, as far as integrations use them; anything else is an error box on Tally's screen."""

import re
from collections.abc import Callable
from typing import Any

Method = Callable[[str], Any]
Test = Callable[[Method], Any]

_TOKEN = re.compile(
    r'\s*(?:(?P<number>-?\d+(?:\.\d+)?)|"(?P<text>[^"]*)"|\$\$(?P<function>\w+)|\$(?P<method>\w+)'
    r"|(?P<sign><=|>=|<>|[=<>():])|(?P<word>[A-Za-z]+))"
)


class ErrorBox(Exception):
    """Tally shows a dialogue and serves nobody until somebody clicks."""


def compiled(text: str) -> Callable[[Method], bool]:
    """A formula as a test of one object. Raises ErrorBox."""
    parts = _Parts(text)
    test = parts.alternatives()
    if parts.left():
        raise ErrorBox(f"Bad formula: {text}")
    return lambda method: bool(test(method))


class _Parts:
    """Reads a formula from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise ErrorBox(f"Bad formula: {text}")
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind]))
            at = found.end()

    def left(self) -> bool:
        return bool(self.tokens)

    def alternatives(self) -> Test:
        tests = [self.conditions()]
        while self.word("OR"):
            tests.append(self.conditions())
        return tests[0] if len(tests) == 1 else lambda method: any(test(method) for test in tests)

    def conditions(self) -> Test:
        tests = [self.condition()]
        while self.word("AND"):
            tests.append(self.condition())
        return tests[0] if len(tests) == 1 else lambda method: all(test(method) for test in tests)

    def condition(self) -> Test:
        if self.word("NOT"):
            inner = self.condition()
            return lambda method: not inner(method)
        left = self.operand()
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in ("=", "<>", "<", ">", "<=", ">="):
            sign = self.tokens.pop(0)[1]
            right = self.operand()
            return lambda method: compared(left(method), sign, right(method))
        return left

    def operand(self) -> Test:
        kind, text = self.tokens.pop(0) if self.tokens else ("", "")
        if kind == "number":
            return lambda method: float(text)
        if kind == "text":
            return lambda method: text
        if kind == "method":
            return lambda method: method(text.upper())
        if kind == "function":
            return self.function(text.lower())
        if (kind, text) == ("sign", "("):
            inner = self.alternatives()
            self.sign(")")
            return inner
        raise ErrorBox("Bad formula")

    def function(self, name: str) -> Test:
        self.sign(":")
        if name == "date":
            return self.operand()
        if name == "isequal":
            left = self.operand()
            self.sign(":")
            right = self.operand()
            return lambda method: compared(left(method), "=", right(method))
        raise ErrorBox(f"No such function: $${name}")

    def word(self, word: str) -> bool:
        if self.tokens and self.tokens[0][0] == "word" and self.tokens[0][1].upper() == word:
            self.tokens.pop(0)
            return True
        return False

    def sign(self, sign: str) -> None:
        if not self.tokens or self.tokens.pop(0) != ("sign", sign):
            raise ErrorBox(f"Bad formula: no {sign}")


def compared(left: Any, sign: str, right: Any) -> bool:
    """Numbers as numbers, all else as text without case."""
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _holds(float(left), sign, float(right))
    return _holds(str(left).strip().casefold(), sign, str(right).strip().casefold())


def _holds(left: Any, sign: str, right: Any) -> bool:
    if sign in ("=", "<>"):
        return bool((left == right) == (sign == "="))
    if sign in ("<", ">="):
        return bool((left < right) == (sign == "<"))
    return bool((left > right) == (sign == ">"))
