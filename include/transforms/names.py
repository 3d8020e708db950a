"""Names of people: the function of the record template `full_name`."""

from __future__ import annotations

from typing import Any

from erpflow.mapping.transforms import record_transform


def join_full_name(values: dict[str, Any]) -> dict[str, Any]:
    """First and last name as one text; null when there is neither."""
    parts = [values["first_name"], values["last_name"]]
    return {"full_name": " ".join(part for part in parts if part) or None}


@record_transform(reverse=join_full_name)
def split_full_name(values: dict[str, Any]) -> dict[str, Any]:
    """The last word is the last name, all before it the first; a single word is a first name."""
    name = values["full_name"]
    if name is not None and not isinstance(name, str):
        raise ValueError("a name is a text")
    *first, last = (name or "").split() or [""]
    if not first:
        return {"first_name": last or None, "last_name": None}
    return {"first_name": " ".join(first), "last_name": last}


@record_transform
def person_of_names(values: dict[str, Any]) -> dict[str, Any]:
    """Given and family name as one text; null when there is neither."""
    odd = [name for name, value in values.items() if not isinstance(value, str | None)]
    if odd:
        raise ValueError(f"{odd[0]} is no text")
    parts = [(values[name] or "").strip() for name in ("given_name", "family_name")]
    return {"person_name": " ".join(part for part in parts if part) or None}
