"""Writing products.

Source: metakocka/metakocka_api_base, docs/product_add.md, product_update.md, product_delete.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_products import fetched, find_all
from erpflow.connectors.metakocka_records import Record, product_of, sales_price
from erpflow.connectors.metakocka_values import changed, given, refused, taken, unclearable
from erpflow.connectors.metakocka_wire import wire_value
from erpflow.errors import ProtocolError
from erpflow.vocabulary import RemoteId

REMOVE: Final = "$REMOVE_STRING_VALUE$"
_CLEARABLE: Final = frozenset({"name_desc", "barcode"})
_OWN: Final = ("code", "count_code")
_FIELDS: Final = (
    *("code", "count_code", "name", "name_desc", "barcode", "unit", "service", "sales", "activated", "purchasing"),
    *("eshop_sync", "weight", "gross_weight", "height", "width", "depth", "min_stock", "minimal_order_quantity"),
    *("localization", "categories", "pricelist", "extra_column"),
)
_MEASURES: Final = frozenset({"amount_from", "amount_to", "discount", "tax", "tax_factor", "price", "price_with_tax"})
_COMPUTED: Final = frozenset({"mk_id", "currency_code"})
_WHAT: Final = "a product"


class ProductDesk:
    """Writes products, one call each."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def create(self, values: Mapping[str, Any]) -> RemoteId:
        """Makes a product whose code and number nobody has. Its price needs a price list: `pricelist`."""
        for name in _OWN:
            if (
                isinstance(values.get(name), str)
                and values[name]
                and find_all(self._company, [{name: values[name]}])[0]
            ):
                raise taken(name, values[name], _WHAT)
        if values.get("net_price") is not None and not values.get("pricelist"):
            raise refused(
                "net_price", "lookup", "A new product is on no price list yet, so it has no price: enter it there."
            )
        reply = self._company.tell("json/product_add", given(values, allowed=_FIELDS))
        mk_id = reply.text("mk_id")
        if not mk_id:
            raise ProtocolError("Metakocka made a product and does not say which.", maybe_done=True)
        return RemoteId(mk_id)

    def update(self, remote_id: RemoteId, values: Mapping[str, Any]) -> None:
        """Changes these fields. A new `net_price` goes to the price list that it was read from."""
        sent = changed(values, allowed=(*_FIELDS, "net_price"), fixed=_COMPUTED, what=_WHAT)
        price = sent.pop("net_price", None)
        body = {name: self._cleared(name) if value in (None, "") else wire_value(value) for name, value in sent.items()}
        if "net_price" in values:
            body["pricelist"] = [self._priced(remote_id, price)]
        if body:
            self._company.tell("json/product_update", {**body, "mk_id": remote_id})

    def delete(self, remote_id: RemoteId) -> None:
        """Deletes a product that no document uses; Metakocka refuses others."""
        self._company.tell("json/product_delete", {"mk_id": remote_id})

    def exists(self, remote_id: RemoteId) -> bool:
        return bool(fetched(self._company, [remote_id]))

    def _cleared(self, name: str) -> str:
        if name not in _CLEARABLE:
            raise unclearable(name, _WHAT)
        return REMOVE

    def _priced(self, remote_id: RemoteId, price: Any) -> Record:
        """The sales price list of a product with another net price in its first step, the others as they are."""
        if not isinstance(price, Decimal | int):
            raise unclearable("net_price", _WHAT)
        raw = fetched(self._company, [remote_id]).get(remote_id)
        found = None if raw is None else sales_price(product_of(raw))
        if found is None:
            raise refused(
                "net_price", "lookup", "The product is on no sales price list of all customers: enter it there."
            )
        pricelist, first, _ = found
        steps = [
            {name: wire_value(value) for name, value in step.items() if name in _MEASURES}
            for step in pricelist["price_def"]
            if isinstance(step, dict)
        ]
        steps[first].pop("price_with_tax", None)
        steps[first]["price"] = wire_value(price)
        return {"count_code": pricelist.get("count_code"), "price_def": steps}
