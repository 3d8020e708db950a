"""Limits of a connection's own: what may be asked for, beside what its system's data sheet allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from erpflow.services.connecting import FieldRefused

if TYPE_CHECKING:
    from erpflow.connectors.base import Limits
    from erpflow.store.limit_usage import Span


def check_limit(span: Span, number: float, sheet: Limits, *, called: str) -> None:
    """Raises FieldRefused when it is no number of requests, or more than the data sheet allows.

    `called`: what whoever gave it knows it by.
    """
    least = 1.0 if span == "concurrent" else 0.0
    if not least <= number < float("inf") or number == 0 or (span == "concurrent" and not float(number).is_integer()):
        what = "a whole number from 1 on" if span == "concurrent" else "a number above 0"
        raise FieldRefused(f"{called} is {number:g}. Give {what}.", field=span)
    allowed = getattr(sheet, span)
    if allowed is not None and number > allowed:
        raise FieldRefused(
            f"{called} is {number:g}, and the system's data sheet allows {allowed:g}. A limit of one's own may only be "
            "lower. Nothing was changed.",
            field=span,
        )
