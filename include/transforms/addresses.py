"""Addresses: the function of the record template `address_block`."""

from __future__ import annotations

from typing import Any

from erpflow.mapping.transforms import record_transform


@record_transform
def join_lines(values: dict[str, Any]) -> dict[str, Any]:
    """Whatever the template reads, in its order, a line each; empty values are left out."""
    odd = [name for name, value in values.items() if not isinstance(value, str | int | None)]
    if odd:
        raise ValueError(f"{odd[0]} is no text")
    lines = [str(value).strip() for value in values.values() if value is not None]
    return {"address": "\n".join(line for line in lines if line) or None}
