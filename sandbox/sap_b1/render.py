"""Records and lists as the Service Layer writes them: every declared property, with the annotations of the version."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from sandbox.sap_b1.company import Company, Row
from sandbox.sap_b1.errors import malformed, unknown_property
from sandbox.sap_b1.schema import EntitySet, Type, schema

MIDNIGHT = "T00:00:00Z"
ENCODER = msgspec.json.Encoder(decimal_format="number")
MONEY = ("Edm.Double", "Edm.Decimal")


def encode(value: Any) -> bytes:
    return ENCODER.encode(value)


def annotation(version: str, name: str) -> str:
    """`@odata.etag` in v2, `odata.etag` in v1; what v2 calls context, v1 calls metadata."""
    if version == "v1":
        return f"odata.{'metadata' if name == 'context' else name}"
    return f"@odata.{name}"


def entity(
    company: Company, entity_set: EntitySet, row: Row, *, version: str, fields: Sequence[str] | None = None
) -> dict[str, Any]:
    """A record, or the selected fields of it."""
    etag = company.etag(entity_set, row)
    head = {annotation(version, "etag"): etag} if etag else {}
    return {**head, **shaped(row.values, entity_set.type, version=version, fields=fields)}


def shaped(values: dict[str, Any], kind: Type, *, version: str, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """What is kept of a record, as the wire has it: what was never set is null, and a list of nothing empty."""
    found: dict[str, Any] = {}
    for name in fields if fields is not None else kind.properties:
        declared = kind.properties[name]
        value, inner = values.get(name), schema().types.get(declared.type)
        if declared.many and inner is not None:
            found[name] = [shaped(row, inner, version=version) for row in value or []]
        elif inner is not None:
            found[name] = None if value is None else shaped(value, inner, version=version)
        elif declared.type == "Edm.DateTime" and value is not None and version == "v2":
            found[name] = value + MIDNIGHT
        elif declared.type in MONEY and isinstance(value, int):
            found[name] = Decimal(value).quantize(Decimal("0.1"))
        else:
            found[name] = value
    return found


def selected(text: str | None, kind: Type) -> list[str] | None:
    """The fields of `$select`. Raises ServiceError for one the type does not have."""
    if not text:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not name:
            raise malformed("$select holds an empty name")
        if name not in kind.properties:
            raise unknown_property(name, kind.name)
    return names
