"""The three bulk posts: every row is tried, and each has its own result."""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

from sandbox.veekaart.answers import Refusal
from sandbox.veekaart.rows import READERS, RowRefused, sku_of
from sandbox.veekaart.store import Store

TAKEN = ("created", "updated", "unchanged", "skipped_stale")

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def rows_of(store: Store, table: str, body: bytes) -> list[Any]:
    """The rows of a post. Raises Refusal for a body that is none of this table, too large or too long."""
    if len(body) > store.switches.largest_body:
        raise Refusal("payload_too_large", f"The body is larger than {store.switches.largest_body:,} bytes")
    try:
        given = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("invalid_json", "The body is not valid JSON") from None
    rows = given.get(table) if isinstance(given, dict) else None
    if not isinstance(rows, list) or not rows:
        raise Refusal("validation_error", f"{table} must be a list of at least one row", field=table)
    if len(rows) > store.switches.max_batch:
        raise Refusal("batch_too_large", f"At most {store.switches.max_batch} rows in one request", field=table)
    return rows


def post(store: Store, table: str, rows: list[Any]) -> dict[str, Any]:
    """What became of every row, and the sums. Raises Refusal (all_rows_invalid) when none was taken."""
    superseded = _superseded(rows)
    results = [_one(store, table, index, row, is_superseded=index in superseded) for index, row in enumerate(rows)]
    counted = Counter(result["result"] for result in results)
    data = {
        "synced_count": sum(counted[word] for word in TAKEN),
        "created": counted["created"],
        "updated": counted["updated"],
        "unchanged": counted["unchanged"],
        "failed": counted["error"],
        "results": results,
    }
    if counted["error"] == len(rows):
        raise Refusal("all_rows_invalid", "No row could be synced", data=data)
    return data


def _superseded(rows: list[Any]) -> set[int]:
    """The rows whose SKU comes again further down."""
    last: dict[str, int] = {}
    found: set[int] = set()
    for index, row in enumerate(rows):
        sku = row.get("sku") if isinstance(row, dict) else None
        if isinstance(sku, str) and sku.strip():
            if sku.strip() in last:
                found.add(last[sku.strip()])
            last[sku.strip()] = index
    return found


def _one(store: Store, table: str, index: int, row: Any, *, is_superseded: bool) -> dict[str, Any]:
    shown = row.get("sku") if isinstance(row, dict) else None
    result: dict[str, Any] = {"index": index, "sku": shown if isinstance(shown, str) else ""}
    try:
        sku = sku_of(row)
        if is_superseded:
            raise RowRefused("duplicate_in_batch", "A later row of this batch has the same sku", field="sku")
        word, name = _write(store, table, sku, row)
    except RowRefused as refused:
        return {**result, "result": "error", "error": refused.shown()}
    return {**result, "result": word, "id": name}


def _write(store: Store, table: str, sku: str, row: dict[str, Any]) -> tuple[str, str]:
    """What was done, and the id of the row. Raises RowRefused."""
    if table != "products" and store.tables["products"].get(sku) is None:
        raise RowRefused("sku_not_found", f"There is no product with the sku {sku}", field="sku")
    read = READERS[table](row)
    stored = store.tables[table].get(sku)
    known_at = stored.said_at if stored is not None else None
    if stored is not None and known_at is not None and read.said_at is not None and read.said_at < known_at:
        return "skipped_stale", stored.id
    word = store.tables[table].put(sku, read.values, said_at=read.said_at)
    made = store.tables[table].get(sku)
    return word, made.id if made is not None else ""
