"""The natural key at the vendor: the fields that find a record there as `match_on` finds a row here."""

from __future__ import annotations

from typing import Any

from erpflow.mapping.model import Mapping
from erpflow.mapping.paths import dig
from erpflow.yaml_files.complaints import dotted


class NaturalKey:
    """Gives the key of records in the vendor's shape, for one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        pushed = {spec.local: spec.paths[0] for spec in reversed(mapping.fields) if spec.pushes()}
        paths = [pushed.get(column) for column in mapping.local.match_on]
        known = [path for path in paths if path is not None]
        self._paths = {dotted(path): path for path in known} if len(known) == len(paths) else {}

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """The key by remote path; empty where a part has no value or is not pushed."""
        key: dict[str, Any] = {}
        for name, path in self._paths.items():
            value = record.get(name) if path == (name,) else dig(record, path)
            if value is None or value == "" or isinstance(value, dict | list):
                return {}
            key[name] = value
        return key
