"""What of a mapping can be compared: its way from the vendor to our columns, also where the config only pushes.

A config that only pushes reads nothing, but what it sent can be read back by the same fields. It is only looked at, so
the rules of the fields do not apply: a value that no pull would let in is a difference, and no reject.
"""

from __future__ import annotations

from collections.abc import Iterable

from erpflow.mapping.kinds import OnMissing
from erpflow.mapping.model import Children, FieldSpec, Mapping
from erpflow.vocabulary import Direction

_NO_RULES = dict.fromkeys(("min", "max", "max_length", "pattern", "one_of", "default"))


def comparable(mapping: Mapping, direction: Direction) -> Mapping | None:
    """The mapping that a config of this direction is compared by; None where nothing that it pushes can be read."""
    if direction is not Direction.PUSH:
        return mapping
    match_on = mapping.local.match_on
    fields = _readable(mapping.fields)
    if not fields:
        return None
    known = {spec.local for spec in fields}
    whole_key = match_on if known.issuperset(match_on) else ()
    children = [child.model_copy(update={"fields": _readable(child.fields)}) for child in mapping.children]
    return mapping.model_copy(
        update={
            "direction": Direction.PULL,
            "local": mapping.local.model_copy(update={"match_on": whole_key}),
            "fields": fields,
            "children": tuple(child for child in children if _has_key(child)),
        }
    )


def _has_key(child: Children) -> bool:
    return any(spec.local == child.key for spec in child.fields)


def _readable(fields: Iterable[FieldSpec]) -> tuple[FieldSpec, ...]:
    """The fields that are pushed and can be read back, without their rules."""
    return tuple(_lenient(spec) for spec in fields if spec.pulls() and spec.pushes())


def _lenient(spec: FieldSpec) -> FieldSpec:
    update = {**_NO_RULES, "required": False}
    if spec.lookup is not None:
        update["lookup"] = spec.lookup.model_copy(update={"on_missing": OnMissing.NULL})
    return spec.model_copy(update=update)
