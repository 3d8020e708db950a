"""Lists: a window on `created_at`, the newest first, by `count` and `skip`. Source: the sheet, §3."""

from collections.abc import Mapping
from typing import Any

from sandbox.razorpay import checks
from sandbox.razorpay.answers import Refusal, collection

USUAL = 10
MOST = 100


def listed(rows: Mapping[str, dict[str, Any]], query: Mapping[str, str], *, filters: tuple[str, ...] = ()) -> Any:
    """One page. Raises Refusal."""
    checks.only(query, {"from", "to", "count", "skip", *filters})
    count = checks.whole(query, "count", default=USUAL)
    if count > MOST:
        raise Refusal(f"The count may not be greater than {MOST}.", field="count")  # UNVERIFIED
    skip = checks.whole(query, "skip", least=0, default=0)
    since, until = checks.whole(query, "from", least=0, default=0), checks.whole(query, "to", least=0, default=2**40)
    found = [
        row
        for row in reversed(list(rows.values()))
        if since <= row["created_at"] <= until and all(row[name] == query[name] for name in filters if name in query)
    ]
    found.sort(key=lambda row: row["created_at"], reverse=True)  # of one second, the one made last comes first
    return collection(found[skip : skip + count])
