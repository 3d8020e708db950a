"""Reads, for verification and reconciliation: lists by the time of the last change, and single rows.

The sheet names the parameters. That a list is in the order of `updated_at`, that `updated_since` includes its moment,
and that a cursor goes on behind the last row it gave is UNVERIFIED.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.veekaart.answers import Refusal, wire_time
from sandbox.veekaart.store import Row, Store

USUAL_LIMIT = 50
LARGEST_LIMIT = 200


def shown(sku: str, row: Row) -> dict[str, Any]:
    """A row as the store gives it."""
    return {"id": row.id, "sku": sku, **row.values, "updated_at": wire_time(row.updated_at)}


def single(store: Store, table: str, sku: str) -> dict[str, Any]:
    """Raises Refusal (not_found)."""
    row = store.tables[table].get(sku)
    if row is None:
        raise Refusal("not_found", f"There is no sku {sku} here", field="sku")
    return shown(sku, row)


def listed(store: Store, table: str, query: Mapping[str, str]) -> dict[str, Any]:
    """One page. Raises Refusal for parameters that make no sense."""
    since, limit, behind = _since(query), _limit(query), _behind(query)
    status = query.get("status")
    if status is not None and (table != "products" or status not in ("active", "inactive")):
        raise Refusal("validation_error", "status must be active or inactive", field="status")
    found = []
    for at, sku, row in store.tables[table].in_order():
        if (since is not None and at < since) or (behind is not None and (at, sku) <= behind):
            continue
        if status is None or row.values.get("status") == status:
            found.append((at, sku, row))
        if len(found) > limit:
            break
    page = found[:limit]
    cursor = _cursor(*page[-1][:2]) if len(found) > limit else None
    return {"items": [shown(sku, row) for _, sku, row in page], "next_cursor": cursor}


def _since(query: Mapping[str, str]) -> datetime | None:
    text = query.get("updated_since")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
    except ValueError:
        message = "updated_since must be a time with an offset"
        raise Refusal("validation_error", message, field="updated_since") from None
    return found


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(USUAL_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST_LIMIT:
        raise Refusal("validation_error", f"limit must be from 1 to {LARGEST_LIMIT}", field="limit")
    return int(text)


def _cursor(at: datetime, sku: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), sku]).encode()).decode()


def _behind(query: Mapping[str, str]) -> tuple[datetime, str] | None:
    text = query.get("cursor")
    if text is None:
        return None
    try:
        at, sku = json.loads(base64.urlsafe_b64decode(text.encode()))
        return datetime.fromisoformat(at), str(sku)
    except (ValueError, TypeError, binascii.Error):
        raise Refusal("validation_error", "cursor is not one of ours", field="cursor") from None
