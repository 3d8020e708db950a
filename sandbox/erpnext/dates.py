"""Dates and times as the vendor reads them: leniently in filters, strictly in documents."""

import re
from datetime import date, datetime
from typing import Any

from sandbox.erpnext.errors import FrappeError, app_error

OLDEST = "0001-01-01 00:00:00.000000"  # what an unreadable date in a filter stands for
LAST_MOMENT = " 23:59:59.999999"
MOMENT = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2})?)(?:\.(?P<fraction>\d{1,9}))?)?\s*(?:Z|[+-]\d{2}:?\d{2})?"
)


def filter_moment(value: Any) -> str:
    """A filter's value as a comparable local time: zones are ignored, garbage becomes the oldest date."""
    match = MOMENT.fullmatch(str(value).strip()) if value is not None else None
    if match is None:
        return OLDEST
    time = match["time"] or "00:00:00"
    if time.count(":") == 1:
        time += ":00"
    fraction = (match["fraction"] or "0")[:6].ljust(6, "0")
    try:
        moment = datetime.strptime(f"{match['date']} {time}.{fraction}", "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007
    except ValueError:
        return OLDEST
    return moment.isoformat(sep=" ", timespec="microseconds")


def is_date_only(value: Any) -> bool:
    match = MOMENT.fullmatch(str(value).strip()) if value is not None else None
    return match is not None and match["time"] is None


def filter_date(value: Any) -> str:
    return filter_moment(value)[:10]


def document_date(value: Any) -> str | None:
    """A Date field's value; text that is no date is refused with 417.

    Raises FrappeError (ValidationError, titled Invalid Date).
    """
    if value in (None, ""):
        return None
    text = str(value).strip()
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise invalid_date(text) from None


def invalid_date(text: str) -> FrappeError:
    return app_error(f"<strong>{text}</strong> is not a valid date string.", title="Invalid Date")
