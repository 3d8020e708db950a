"""The words of the messages: spans of time, counts, what an error is called, and what to do about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from erpflow.connectors.redaction import redact

LONGEST_QUOTE: Final = 300

ADVICE: Final = {
    "AuthFailed": "Generate new keys at the vendor and put them into the Airflow Connection; then clear the task.",
    "PermissionDenied": "Give the vendor's API user the right to read this; then clear the task.",
    "ConfigError": "Correct what it names in the mapping, the table or the connection; then clear the task.",
    "ProtocolError": (
        "The vendor's answer is not what its API promises; the sync log shows how it begins. A proxy or a login page "
        "in between is the usual cause."
    ),
    "RateLimited": "Airflow waited as long as the vendor asked, and tried again in vain. Clear the task later.",
    "VendorUnavailable": "Airflow tried several times. The next run reads what was missed, once the vendor is back.",
    "DatabaseUnavailable": "Airflow tried several times. See whether the application's Postgres is up.",
    "AlreadyRunning": "Look for an idle transaction in pg_stat_activity; then clear the task.",
    "UnsettledWrites": (
        "A push was killed, and the vendor has not said which of its writes arrived. Once the vendor answers, clear "
        "the task: they are looked up first."
    ),
    "DeletesNeedApproval": (
        "See whether so much is really gone. If it is, approve it under Required Actions in Airflow, or run "
        "erpflow sync run with --allow-deletes."
    ),
    "Unfinished": "Clear the task that was killed or lost: it goes on where it was.",
}
UNKNOWN_ADVICE: Final = "The log of the failed task says more. If it looks like a defect of erpflow, report it."

# Only these errors are in our own words; the others may quote an answer of the vendor's, which may hold a record.
QUOTED: Final = frozenset({"ConfigError", "DeletesNeedApproval", "Unfinished"})


def advice(error_kind: str | None) -> str:
    """What to do about an error."""
    return ADVICE.get(error_kind or "", UNKNOWN_ADVICE)


def quote(error_kind: str | None, error: str | None) -> tuple[str, ...]:
    """An error's own text, where it surely holds no value of a record; on one line, not longer than a paragraph."""
    if not error or error_kind not in QUOTED:
        return ()
    text = redact(" ".join(error.split()))
    return (text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…",)


def counted(number: int, noun: str) -> str:
    """`1 record`, `1,200 records`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(moment: datetime) -> str:
    """A moment in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}Z"


def span(length: timedelta) -> str:
    """A span of time in its two largest units: `2 d 3 h`, `5 min`; less than a minute is `under a minute`."""
    minutes, days = int(length.total_seconds()) // 60 % 60, length.days
    hours = int(length.total_seconds()) // 3600 % 24
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2]) or "under a minute"
