"""A push takes a short cut for the common case of every type; it gives what the long way gives, for any value."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from erpflow.errors import RecordRejected
from erpflow.mapping import push
from erpflow.mapping.compile import PushProgram, compile_push
from erpflow.mapping.load import parse_mapping

SPECS: list[dict[str, Any]] = [
    {},
    {"required": True},
    {"default": "none"},
    {"max_length": 3},
    {"pattern": "[a-z]+"},
    {"one_of": ["a", "true", "1"]},
    {"transform": "trim"},
    {"transform": ["trim", {"prefix": "t"}]},
    {"type": "number"},
    {"type": "number", "required": True},
    {"type": "number", "min": 0, "max": 10},
    {"type": "number", "max": Decimal("0.5")},
    {"type": "number", "scale": 1},
    {"type": "number", "default": 7},
    {"type": "date"},
    {"type": "date", "min": "2024-01-01"},
    {"type": "datetime"},
    {"type": "datetime", "max": "2024-01-01T00:00:00Z"},
    {"type": "boolean"},
    {"type": "boolean", "default": True},
    {"type": "picklist", "values": {"a": "Active", "true": 0, "1": False, "é": "Été"}},
    {"type": "picklist", "values": {"a": "\ud800"}},
    {"type": "json"},
    {"type": "json", "required": True},
    {"type": "lookup", "lookup": {"entity": "customer"}},
    {"type": "lookup", "lookup": {"entity": "customer"}, "max_length": 2},
]

EAST = timezone(timedelta(hours=5, minutes=30))
TEXTS = [
    *("", "a", "é", "A\x00", "a\ud800", "true", "TRUE", "f", "1", "0", "-1", "007", "1.50", ".5", "1e3", "-0", "NaN"),
    *("9" * 70, "2024-02-29", "2023-02-29", "2024-2-29", "2024-W09-4", "٢٠٢٤-02-29", "2024-02-29 10:00:00+00"),
    *("2024-02-29T10:00:00.25+05:30", "2024-02-29 10:00:00", "0001-01-01 00:00:00+05:30", "9999-12-31T23:59:59Z", "🙂"),
]
ODD = [None, True, False, 0, 1, 2, -3, Decimal("1.50"), Decimal("NaN"), Decimal("1E+5"), 1.5, float("inf"), b"a"]
DATED = [date(2024, 2, 29), datetime(2024, 2, 29, 10, tzinfo=UTC), datetime(2024, 2, 29, 10, tzinfo=EAST)]
DEEP = [[], {}, ["a", None], {"a": [1, {"b": Decimal("2.50")}]}, ["\\"], {"a": "\x00"}, ["\ud800"], {"n": float("nan")}]
DEEPER = [{"n": Decimal("1E+9999")}, ["x" * 2_000], {"a": ...}, {1: "a"}, [date(2024, 2, 29)], ["null"]]


def program(spec: dict[str, Any], *, zone: str) -> PushProgram:
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "id"},
        "local": {"table": "app.things"},
        "direction": "bidirectional",
        "fields": [{"local": "col", "remote": "a.b", **spec}],
    }
    return compile_push(parse_mapping(data, name="test"), zone=zone)


def given(made: PushProgram, value: Any) -> Any:
    """What is sent of a value, with its type, or every problem of it."""
    try:
        record = made.map_row({"col": value})
    except RecordRejected as rejected:
        return list(rejected.problems)
    return record, type(record["a"]["b"]), str(record["a"]["b"])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_short_cut_of_a_field_gives_what_its_long_way_gives(
    spec: dict[str, Any], zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = program(spec, zone=zone)
    monkeypatch.setattr(push, "shortcut_of", lambda *_, **__: None)
    careful = program(spec, zone=zone)
    for value in [*TEXTS, *ODD, *DATED, *DEEP, *DEEPER]:
        assert given(quick, value) == given(careful, value), repr(value)
