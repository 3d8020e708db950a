"""What a webhook of Metakocka's says: the new stock of one product, a row for each active warehouse.

The only event there is. Source: metakocka/metakocka_api_base, docs/webhooks.md. What the receiver must answer is
UNVERIFIED: the text names one property, its example shows another, so both are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from erpflow.connectors.change_notice import ChangeNotice, mapping_of, object_of, part_of, rows_of, text_of

SIGNATURE_HEADER: Final = "X-MetaKocka-Signature"
EVENT_HEADER: Final = "x-metakocka-event"
ID_HEADER: Final = "x-metakocka-id"
STOCK: Final = "warehouse_product_stock_update"
ANSWER: Final = {"status": "ok", "check_respond_status_json_ok": "true"}
_REMOTE: Final = "warehouse_stock"


def notices(body: bytes, headers: Mapping[str, str]) -> list[ChangeNotice]:
    """A stock level for each row. Raises PayloadInvalid for a body that is no object."""
    found = object_of(body)
    event, event_id = headers.get(EVENT_HEADER), headers.get(ID_HEADER)
    rows = rows_of(found.get("stock_list"))
    if event not in (None, STOCK):
        return [
            ChangeNotice(event_type=event, key=event_id, problem=f"There is no event {event[:100]!r} that is known.")
        ]
    if not rows:
        return [ChangeNotice(remote=_REMOTE, event_type=event, key=event_id, problem="It has no stock_list.")]
    return [_level(row, event=event, event_id=event_id) for row in rows]


def _level(row: object, *, event: str | None, event_id: str | None) -> ChangeNotice:
    house, product = (text_of(mapping_of(row).get(key)) for key in ("warehouse_id", "mk_id"))
    level = f"{house}:{product}" if house and product else None
    return ChangeNotice(
        remote=_REMOTE,
        remote_id=level,
        event_type=event,
        key=f"{event_id}/{level}" if event_id and level else None,
        part=part_of(row),
        problem=None if level else "A row has no warehouse_id or no mk_id.",
    )
