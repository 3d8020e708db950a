"""What a client asks about the organisation itself: its modules, their fields, users and name."""

from typing import Any

from sandbox.zoho_crm.org import ORG_PREFIX, Org
from sandbox.zoho_crm.schema import LINE, SCHEMA, Field, Module

JSON_TYPES = {
    "currency": "double", "double": "double", "integer": "integer", "bigint": "string", "boolean": "boolean",
    "lookup": "jsonobject", "ownerlookup": "jsonobject", "jsonarray": "jsonarray", "subform": "jsonarray",
}  # fmt: skip
LINE_MODULES = {"Ordered_Items": "Sales_Orders", "Invoiced_Items": "Invoices"}


def modules(org: Org) -> dict[str, Any]:
    """`GET /settings/modules`."""
    found = [name for name in SCHEMA if name not in org.switches.refused_modules]
    return {"modules": [_module(place, name) for place, name in enumerate([*found, *LINE_MODULES])]}


def fields(module: Module) -> dict[str, Any]:
    """`GET /settings/fields?module=`."""
    return {"fields": [_field(place, field) for place, field in enumerate(module.fields.values())]}


def module_with_lines(org: Org, name: str) -> Module | None:
    """A module by its API name; lines are modules too, for their fields."""
    if name in LINE_MODULES:
        return LINE
    return None if name in org.switches.refused_modules else SCHEMA.get(name)


def organisation() -> dict[str, Any]:
    """`GET /org`."""
    return {
        "org": [
            {
                "id": f"{ORG_PREFIX}000000000001",
                "company_name": "Alpe Adria Trade d.o.o.",
                "primary_email": "info@alpe-adria.example",
                "iso_code": "EUR",
                "currency_symbol": "€",
                "time_zone": "Europe/Ljubljana",
                "country_code": "SI",
                "zgid": "20071234567",
            }
        ]
    }


def users(org: Org) -> dict[str, Any]:
    """`GET /users`: those that records belong to."""
    found = [
        {"id": user, "full_name": found["name"], "name": found["name"], "email": found["email"], "status": "active"}
        for user, found in org.users.items()
    ]
    return {"users": found, "info": {"per_page": 200, "count": len(found), "page": 1, "more_records": False}}


def _module(place: int, name: str) -> dict[str, Any]:
    return {
        "id": f"{ORG_PREFIX}900000{place:06}",
        "api_name": name,
        "module_name": name,
        "plural_label": name.replace("_", " "),
        "singular_label": name.replace("_", " ").removesuffix("s"),
        "generated_type": "subform" if name in LINE_MODULES else "default",
        "api_supported": True,
        "creatable": True,
        "editable": True,
        "deletable": True,
        "viewable": True,
    }


def _field(place: int, field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"{ORG_PREFIX}800000{place:06}",
        "api_name": field.api_name,
        "field_label": field.label,
        "display_label": field.label,
        "data_type": field.data_type,
        "json_type": JSON_TYPES.get(field.data_type, "string"),
        "system_mandatory": field.mandatory,
        "custom_field": field.custom,
        "read_only": field.read_only,
        "field_read_only": field.read_only,
        "visible": True,
        "length": field.length,
        "unique": {"casesensitive": "false"} if field.unique else {},
        "lookup": {"module": {"api_name": field.lookup}} if field.lookup else {},
    }
    if field.data_type == "subform":
        found["subform"] = {"module": field.api_name}
        found["associated_module"] = {"module": field.api_name}
    return found
