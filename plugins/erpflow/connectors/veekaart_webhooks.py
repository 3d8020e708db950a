"""What a webhook of VeeKaart says, in the signed variant that was observed: `event_type`, and what it is about.

How the body of other events than orders looks is UNVERIFIED: the id is looked for where it was seen, and under `data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from erpflow.connectors.change_notice import ChangeNotice, mapping_of, object_of, text_of

SIGNATURE_HEADER: Final = "x-veekaart-signature"
_STOCK: Final = "product.stock_changed"
_REMOTES: Final = {"product": "products", "order": "orders", "customer": "customers", "payment": "payments"}
_IDS: Final = {"products": ("sku",), "inventory": ("sku",), "orders": ("order_id", "id"), "customers": ("id",)}


def notices(body: bytes, _headers: Mapping[str, str]) -> list[ChangeNotice]:
    """The one record a request is about. Raises PayloadInvalid for a body that is no object."""
    found = object_of(body)
    event = text_of(found.get("event_type")) or text_of(found.get("event"))
    # An order without an event is the documented form of a new one.
    event = event or ("order.created" if "order_id" in found and "items" in found else None)
    remote = "inventory" if event == _STOCK else _REMOTES.get((event or "").partition(".")[0])
    remote_id = _id(found, remote)
    event_id = text_of(found.get("event_id"))
    return [
        ChangeNotice(
            remote=remote,
            remote_id=remote_id,
            event_type=event,
            key=event_id,
            problem=None if remote_id else "It names no record: there is no sku, order_id or id.",
        )
    ]


def _id(found: Mapping[str, Any], remote: str | None) -> str | None:
    names = _IDS.get(remote or "", ("order_id", "id"))
    places = (found, mapping_of(found.get("data")), mapping_of(found.get((remote or "").removesuffix("s"))))
    return next((text for place in places for name in names if (text := text_of(place.get(name)))), None)
