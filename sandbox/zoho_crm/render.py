"""Records as Zoho shows them: look-ups with their names, times in the organisation's offset, empty fields as null."""

from collections.abc import Iterable
from typing import Any

from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.schema import LINE, SCHEMA, Field, Module
from sandbox.zoho_crm.tables import Record


def shown(org: Org, module: Module, record: Record, names: Iterable[str]) -> dict[str, Any]:
    """The `id` and these fields of a record; what the module does not have is left out without a word."""
    found: dict[str, Any] = {"id": record["id"]}
    for name in names:
        field = module.fields.get(name)
        if field is not None:
            found[name] = value_of(org, field, record.get(name))
    return found


def shown_whole(org: Org, module: Module, record: Record) -> dict[str, Any]:
    """A record as its own address shows it: every field, the lines, and what Zoho keeps about it."""
    whole = shown(org, module, record, module.fields)
    return whole | {
        "$editable": True,
        "$approval_state": "approved",
        "$currency_symbol": "€",
        "$in_merge": False,
        "$locked_for_me": record["id"] in org.switches.locked,
    }


def value_of(org: Org, field: Field, value: Any) -> Any:
    if field.data_type == "jsonarray":
        return value or []
    if field.data_type == "subform":
        return [line_of(org, line) for line in value or []]
    if value is None:
        return None
    if field.data_type == "datetime":
        return org.clock.text(value)
    if field.data_type == "ownerlookup":
        return org.users.get(value)
    if field.lookup is not None:
        return {"name": org.name_of(field.lookup, value), "id": value}
    return value


def line_of(org: Org, line: Record) -> dict[str, Any]:
    found = {name: value_of(org, field, line.get(name)) for name, field in LINE.fields.items() if name in LINE_SHOWN}
    product = org.tables["Products"].get(line.get("Product_Name") or "")
    if product is not None:
        found["Product_Name"] = {
            "Product_Code": product.get("Product_Code"),
            "name": product["Product_Name"],
            "id": product["id"],
        }
    return {"id": line["id"], **found}


LINE_SHOWN = frozenset(
    (
        *("Product_Name", "Quantity", "List_Price", "Discount", "Tax", "Total", "Total_After_Discount"),
        *("Net_Total", "Description", "Line_Tax", "Created_Time", "Modified_Time"),
    )
)


def cell_of(org: Org, field: Field, value: Any) -> str:
    """A value in a CSV of Bulk Read: look-ups as ids, nothing as an empty cell."""
    if value is None or value == []:
        return ""
    if field.data_type == "datetime":
        return org.clock.text(value)
    if field.data_type == "boolean":
        return "true" if value else "false"
    return str(value)


def module_of(org: Org, name: str) -> Module | None:
    """The module of an API name; None when this edition has none of it."""
    return None if name in org.switches.refused_modules else SCHEMA.get(name)
