"""The inline code of number fields: the one type whose common case has several forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from erpflow.mapping.emit import Writer

PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,59})(?:\.[0-9]{1,60})?").fullmatch
"""A number as Postgres and Decimal write it, so that the text can stay as it is."""

WIDE = 10**60


def limit_test(writer: Writer, low: object, high: object, value: str) -> str:
    """Source of a test that `value` is within the bounds, "" without bounds."""
    below = f"{writer.name('low', low)} <= " if low is not None else ""
    above = f" <= {writer.name('high', high)}" if high is not None else ""
    return f"{below}{value}{above}" if below or above else ""


def _whole(bound: Decimal | None) -> int | Decimal | None:
    """A whole bound as an int: ints compare with it five times as fast."""
    return int(bound) if bound is not None and bound == bound.to_integral_value() else bound


@dataclass(frozen=True, slots=True)
class NumberCode:
    """Writes the branches for a Decimal (a JSON number with a point), an int and a plain text.

    `low` and `high` are the bounds; `scale` the decimals to round to, None to keep the digits as they came.
    """

    low: Decimal | None
    high: Decimal | None
    scale: int | None

    def write(self, writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        """The code that assigns the text of `value` (`v`: anything; `w`: a text) to `target`."""
        kind = ""
        if value == "v":
            self._decimal(writer, branch, target, rescued)
            tests = ["type(v) is int", "-WIDE < v < WIDE", limit_test(writer, _whole(self.low), _whole(self.high), "v")]
            zeros = f" + '.{'0' * self.scale}'" if self.scale else ""
            writer.put(f"elif {' and '.join(filter(None, tests))}:", f"    {target} = str(v){zeros}")
            branch, kind = "elif", "type(v) is str and "
        self._text(writer, f"{branch} {kind}plain({value})", value, target, rescued)

    def _decimal(self, writer: Writer, branch: str, target: str, rescued: str) -> None:
        writer.put(f"{branch} type(v) is Decimal:")
        writer.indent()
        writer.put("s = str(v)", 'if len(s) > 60 or "E" in s:', f"    {rescued}")
        limits = limit_test(writer, self.low, self.high, "v")
        if self.scale is None:
            writer.put(f"elif {limits or 'True'}:", f"    {target} = s", "else:", f"    {rescued}")
        else:
            exact = '"." not in s' if self.scale == 0 else f's[-{self.scale + 1}:-{self.scale}] == "."'
            writer.put(f"elif {exact}{f' and {limits}' if limits else ''}:", f"    {target} = s", "else:")
            writer.indent()
            self._rounded(writer, "v", target, rescued)
            writer.dedent()
        writer.dedent()

    def _text(self, writer: Writer, test: str, value: str, target: str, rescued: str) -> None:
        if self.scale is not None:
            writer.put(f"{test}:")
            writer.indent()
            self._rounded(writer, f"Decimal({value})", target, rescued)
            writer.dedent()
        else:
            limits = limit_test(writer, self.low, self.high, f"Decimal({value})")
            if self.low == 0 and self.high is None:
                limits = f'{value}[0] != "-"'
            writer.put(f"{test}{f' and {limits}' if limits else ''}:", f"    {target} = {value}")
        writer.put("else:", f"    {rescued}")

    def _rounded(self, writer: Writer, value: str, target: str, rescued: str) -> None:
        unit = writer.name("unit", Decimal(1).scaleb(-(self.scale or 0)))
        writer.put(f"d = {value}.quantize({unit}, HALF_UP, EXACT)")
        limits = limit_test(writer, self.low, self.high, "d")
        if limits:
            writer.put(f"if {limits}:", f'    {target} = f"{{d:f}}"', "else:", f"    {rescued}")
        else:
            writer.put(f'{target} = f"{{d:f}}"')
