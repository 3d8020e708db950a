"""Times as UTC text, fast: formatting a datetime costs more than all else that happens to a record's field.

Within ten minutes of local time a zone's offset does not change (checked, not assumed), and nearly every offset is a
multiple of ten minutes. So `2026-11-21 07:16:54.133529` in Asia/Kolkata is `2026-11-21T01:4` with `6:54.133529` as it
is; the first part is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

BLOCK = timedelta(minutes=10)
MAX_BLOCKS = 50_000
"""Blocks remembered per zone: about a year of ten minutes, 8 MB at most."""

_parse = datetime.fromisoformat


def instant_text(*, zone: tzinfo) -> Callable[[str], str]:
    """A function from an ISO time to the same moment as `datetime.isoformat` writes it in UTC.

    A time without an offset is one in `zone`. The function raises ValueError for what is no time and OverflowError
    for one that leaves the years 1 to 9999.
    """
    local: dict[str, str] = {}
    universal: dict[str, str] = {}

    def text(value: str) -> str:
        moment = _parse(value)
        if moment.tzinfo is None:
            known, bare, place = local, value, zone
        elif value[-1] == "Z" and len(value) == 20 and value[4] == value[7] == "-" and value[13] == value[16] == ":":
            return f"{value[:10]}T{value[11:19]}+00:00"  # UTC already, and written as we write it
        elif value[-1] == "Z":
            known, bare, place = universal, value[:-1], UTC
        else:
            return moment.astimezone(UTC).isoformat()
        size = len(bare)
        if size == 19 or (size == 26 and bare[19] == "." and bare[20:] != "000000"):
            start = known.get(bare[:15])
            if start is None:
                if len(known) >= MAX_BLOCKS:
                    known.clear()
                start = known[bare[:15]] = _block(bare, moment.replace(tzinfo=place))
            if start:
                return f"{start}{bare[15:]}+00:00"
        return moment.replace(tzinfo=place).astimezone(UTC).isoformat()

    return text


def _block(bare: str, moment: datetime) -> str:
    """What the first 15 characters of `bare` become, or "" where that does not hold for its whole ten minutes."""
    first = moment.replace(minute=moment.minute // 10 * 10, second=0, microsecond=0)
    last = first + BLOCK - timedelta(microseconds=1)
    offset = first.utcoffset()
    written = first.isoformat()
    if (
        offset != last.utcoffset()
        or offset is None
        or offset % BLOCK
        or written[:10] + written[11:15] != bare[:10] + bare[11:15]
    ):
        return ""
    return first.astimezone(UTC).isoformat()[:15]
