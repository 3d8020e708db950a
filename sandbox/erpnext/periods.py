"""Spans of days that a filter names in words: `last month`, `previous 7 days`, a fiscal year."""

import re
from datetime import date, timedelta

from sandbox.erpnext.errors import throw

Span = tuple[date, date]
DAYS = {"day": 1, "days": 1, "week": 7, "weeks": 7, "month": 30, "months": 30, "year": 365, "years": 365}


def month_start(day: date, *, months: int) -> date:
    """The first day of the month so many months away."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def whole(unit: str, day: date, *, step: int) -> Span:
    """The whole day, week, month, quarter, half or year that lies `step` units from the one around `day`."""
    if unit == "day":
        moved = day + timedelta(days=step)
        return moved, moved
    if unit == "week":
        monday = day - timedelta(days=day.weekday()) + timedelta(weeks=step)
        return monday, monday + timedelta(days=6)
    length = {"month": 1, "quarter": 3, "6 months": 6, "year": 12}[unit]
    aligned = date(day.year, (day.month - 1) // length * length + 1, 1)
    first = month_start(aligned, months=step * length)
    return first, month_start(first, months=length) - timedelta(days=1)


def timespan(text: str, today: date) -> Span:
    """`today`, `last 30 days`, `this quarter`, `next 6 months` …

    Raises FrappeError for words the vendor does not know either.
    """
    words = text.lower().strip()
    days = {"yesterday": -1, "today": 0, "tomorrow": 1}
    if words in days:
        return whole("day", today, step=days[words])
    match = re.fullmatch(r"(last|this|next) (\d+ days|week|month|quarter|6 months|year)", words)
    if match is None:
        raise throw(f"{text} is not a valid timespan")
    step = {"last": -1, "this": 0, "next": 1}[match[1]]
    if match[2].endswith(" days"):
        reach = timedelta(days=int(match[2].split()[0]))
        return (today - reach, today) if step < 0 else (today, today + reach)
    return whole(match[2], today, step=step)


def previous_or_next(operator: str, text: str, today: date) -> Span:
    """`previous` or `next` with `7 days`, `1 month` …: a span that starts or ends today."""
    match = re.fullmatch(r"(\d+) (days?|weeks?|months?|years?)", text.lower().strip())
    if match is None:
        raise throw(f"{text} is not a valid period")
    reach = timedelta(days=int(match[1]) * DAYS[match[2]])
    return (today - reach, today) if operator == "previous" else (today, today + reach)


def fiscal_year(name: str, years: dict[str, Span], today: date) -> Span:
    """The fiscal year of that name, or the one around today for an empty name."""
    if name in years:
        return years[name]
    for first, last in years.values():
        if first <= today <= last:
            return first, last
    raise throw(f"Fiscal Year {name} does not exist")
