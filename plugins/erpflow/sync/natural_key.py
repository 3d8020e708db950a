"""The natural key at the vendor: the fields that find a record there as `match_on` finds a row here."""

from __future__ import annotations

from typing import Any

from erpflow.mapping.model import Mapping
from erpflow.mapping.paths import dig, dotted


def natural_key_of(mapping: Mapping, record: dict[str, Any]) -> dict[str, Any]:
    """The key by remote path, from a record in the vendor's shape; empty where a part has no value or is not pushed."""
    key: dict[str, Any] = {}
    for column in mapping.local.match_on:
        spec = next((spec for spec in mapping.fields if spec.local == column and spec.pushes()), None)
        value = dig(record, spec.paths[0]) if spec is not None else None
        if spec is None or value is None or value == "" or isinstance(value, dict | list):
            return {}
        key[dotted(spec.paths[0])] = value
    return key
