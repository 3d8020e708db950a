"""How fast a compiled mapping is: decode and map a 620-byte record into 22 columns, beside the interpreted way.

    .venv/bin/python -m bench.mapping_speed [records]

Both get the same bytes in the same run, in turns; the table shows the best round of each, in microseconds per record.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.interpreted_mapping import Interpreter
from erpflow.mapping.compile import compile_pull
from erpflow.mapping.load import parse_mapping
from erpflow.mapping.model import Mapping

ROUNDS = 5


def mapping() -> Mapping:
    """22 columns of every kind, over 17 source fields of which one is an object and two are lists."""
    text = {"transform": ["trim", "empty_to_null"]}
    fields: list[dict[str, Any]] = [
        {"local": "number", "remote": "id", "required": True, "max_length": 40},
        {"local": "name", "remote": "name", "required": True, "max_length": 200, "transform": "trim"},
        {"local": "company_name", "remote": "company", "max_length": 200, **text},
        {"local": "email", "remote": "email", "transform": ["trim", "lower", "empty_to_null"], "max_length": 200},
        {"local": "phone", "remote": "phones.0", "max_length": 40},
        {"local": "mobile", "remote": "phones.1", "max_length": 40},
        {"local": "street", "remote": "address.street", "transform": ["strip_html", "trim"]},
        {"local": "city", "remote": "address.city", "max_length": 100},
        {"local": "state", "remote": "address.state", "max_length": 100},
        {"local": "postcode", "remote": "address.postcode", "pattern": "[0-9]{5}"},
        {"local": "country_id", "remote": "address.country", "type": "lookup",
         "lookup": {"table": "app.countries", "match": "code", "take": "id"}},
        {"local": "tax_number", "remote": "tax_id", "max_length": 20},
        {"local": "credit_limit", "remote": "credit_limit", "type": "number", "min": 0},
        {"local": "balance", "remote": "balance", "type": "number", "scale": 2},
        {"local": "discount", "remote": "discount", "type": "number", "min": 0, "max": 100},
        {"local": "currency", "remote": "currency", "one_of": ["SAR", "USD", "INR"], "default": "SAR"},
        {"local": "status", "remote": "status", "type": "picklist", "values": {"active": "Active", "closed": "Closed"}},
        {"local": "is_company", "remote": "is_company", "type": "boolean"},
        {"local": "since", "remote": "since", "type": "date"},
        {"local": "modified_at", "remote": "modified", "type": "datetime"},
        {"local": "tags", "remote": "tags", "type": "json"},
        {"local": "source", "value": "bench"},
    ]  # fmt: skip
    data = {
        "system": "rest", "entity": "customer",
        "remote": {"object": "customers", "key": "id", "modified": "modified"},
        "local": {"table": "app.customers"}, "fields": fields,
    }  # fmt: skip
    return parse_mapping(data, name="bench")


def records(count: int) -> list[bytes]:
    """Customers of about 620 bytes; the same for the same count."""
    pick = random.Random(7)
    return [json.dumps(_record(number, pick)).encode() for number in range(count)]


def _record(number: int, pick: random.Random) -> dict[str, Any]:
    return {
        "id": f"CUST-{number:08d}", "name": f"Customer {number} Trading & Sons {pick.randrange(10**6)}",
        "company": None if number % 3 else f"Company {number} Holding",
        "email": f"contact{number}@customer-{number}.example",
        "phones": [f"+9665{pick.randrange(10**7):08d}", f"+9661{pick.randrange(10**7):08d}"],
        "address": {"street": f"{pick.randrange(999)} King Fahd Road", "district": "Al Olaya", "city": "Riyadh",
                    "state": "Riyadh Province", "postcode": f"{pick.randrange(10**5):05d}", "country": "SA"},
        "tax_id": f"3{pick.randrange(10**14):014d}", "credit_limit": f"{pick.randrange(10**6)}.50",
        "balance": pick.randrange(10**7) / 100, "discount": pick.randrange(100), "currency": "SAR",
        "status": "Active" if number % 5 else "Closed", "is_company": bool(number % 2), "since": "2021-03-04",
        "modified": f"2026-11-21 07:{number % 60:02d}:54.133529", "tags": ["wholesale", "priority"],
        "notes": "To the gate",
    }  # fmt: skip


def best_us(work: Callable[[bytes], Any], raws: list[bytes]) -> float:
    """Microseconds per record of one round."""
    started = time.perf_counter()
    for raw in raws:
        work(raw)
    return (time.perf_counter() - started) / len(raws) * 1e6


def main() -> None:
    """Prints the table."""
    raws = records(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    plan = mapping()
    program = compile_pull(plan, zone="Asia/Kolkata")
    ways: dict[str, Callable[[bytes], Any]] = {
        "identify": program.identify,
        "compiled: decode and map": program.map_record,
        "interpreted: decode and map": Interpreter(plan, zone="Asia/Kolkata"),
    }
    gc.disable()
    rounds = [{name: best_us(work, raws) for name, work in ways.items()} for _ in range(ROUNDS)]
    best = {name: min(measured[name] for measured in rounds) for name in ways}
    size = sum(map(len, raws)) // len(raws)
    print(f"{len(raws):,} records of {size} bytes, {len(program.columns)} columns, best of {ROUNDS} rounds")
    for name, us in best.items():
        print(f"  {name:<30}{us:8.2f} µs per record")
    ratio = best["interpreted: decode and map"] / best["compiled: decode and map"]
    print(f"  compiled is {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
