"""What one sync config says in place of its mapping file: merged over the data of the file before that is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import Problem, Where

OVERRIDABLE: Final = ("fields", "direction", "conflict", "deletes", "match_on")
"""The keys of overrides. `match_on` is `local.match_on` of the file; each replaces what the file says, whole."""

_RESERVED: Final = ("erpflow", "information_schema", "pg_")
_WITHOUT_PUSH: Final = (
    "allowed pull: the DAG of a mapping file that only pulls has no steps towards the vendor. Change direction in the "
    "file first"
)


def merged(data: Any, overrides: Mapping[str, Any]) -> Any:
    """The data of a file with the overrides in place."""
    if not isinstance(data, dict):
        return data
    found = dict(data) | {key: value for key, value in overrides.items() if key in OVERRIDABLE and key != "match_on"}
    if "match_on" in overrides and isinstance(data.get("local"), dict):
        found["local"] = {**data["local"], "match_on": overrides["match_on"]}
    return found


def is_overridden(where: Where, overrides: Mapping[str, Any]) -> bool:
    """Whether what stands at a place comes from the overrides."""
    return bool(where) and ("match_on" if where[:2] == ("local", "match_on") else where[0]) in overrides


def key_of(where: Where) -> Where:
    """A place as whoever writes overrides knows it."""
    return where[1:] if where[:2] == ("local", "match_on") else where


def check_overrides(data: Any, overrides: Mapping[str, Any]) -> Iterator[Problem]:
    """What only overrides cannot say: unknown keys, a push that the file has none of, and tables of erpflow's own.

    A file is the installation's, overrides are one tenant's: the state of all tenants is nothing to look values up in.
    """
    for key in overrides:
        if key not in OVERRIDABLE:
            yield Problem((key,), f'found the unknown key "{key}", allowed {", ".join(OVERRIDABLE)}')
    direction = overrides.get("direction", Direction.PULL)
    base = data.get("direction", Direction.PULL) if isinstance(data, dict) else direction
    if base == Direction.PULL and direction in (Direction.PUSH, Direction.BIDIRECTIONAL):
        yield Problem(("direction",), f'found "{direction}", {_WITHOUT_PUSH}')
    fields = overrides.get("fields")
    for position, field in enumerate(fields if isinstance(fields, list) else ()):
        lookup = field.get("lookup") if isinstance(field, dict) else None
        table = lookup.get("table") if isinstance(lookup, dict) else None
        if isinstance(table, str) and table.lower().startswith(_RESERVED):
            yield Problem(("fields", position, "lookup", "table"), f'found "{table}", allowed a table of your own')
