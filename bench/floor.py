"""The floor: one COPY of rows encoded beforehand into an unlogged table without an index, and nothing else.

Its table is also the reference: what it holds was mapped by the few plain lines below, and every contestant's table
must have the same content.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.parse import urljoin

import psycopg

from bench.job import asked, give

TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.customers;
CREATE UNLOGGED TABLE bench.customers (
    id text, name text, company_name text, email text, phones jsonb, tags jsonb,
    street text, street2 text, city text, state text, postcode text, country text,
    tax_id text, credit_limit numeric, balance numeric, currency text, language text, status text,
    is_active boolean, notes text, created_at timestamptz, updated_at timestamptz
)
"""
BLOCK_BYTES: Final = 256 * 1024
BEFORE: Final = ("id", "name", "company_name", "email", "phones", "tags")
ADDRESS: Final = ("street", "street2", "city", "state", "postcode", "country")
AFTER: Final = (
    "tax_id", "credit_limit", "balance", "currency", "language", "status", "is_active", "notes", "created_at",
    "updated_at",
)  # fmt: skip


def main() -> None:
    """Encodes the source's records into a file, then measures COPY from that file."""
    job = asked()
    file = Path(job.folder) / "rows.copy"
    with file.open("w", encoding="utf-8", newline="\n") as rows:
        for record in _records(job.url):
            rows.write(line(record))
    with psycopg.connect(job.database_url, autocommit=True) as connection:
        connection.execute(TABLE)
        started = perf_counter()
        with file.open("rb") as source, connection.cursor().copy("COPY bench.customers FROM STDIN") as copy:
            while block := source.read(BLOCK_BYTES):
                copy.write(block)
        seconds = perf_counter() - started
    file.unlink()
    give(seconds=seconds, notes={})


def _records(url: str) -> Iterator[dict[str, Any]]:
    following: str | None = url
    while following:
        with urllib.request.urlopen(following) as response:  # noqa: S310  # our own server on the loopback interface
            page = json.load(response)
        following = urljoin(following, page["next"]) if page["next"] else None
        yield from page["data"]


def line(record: dict[str, Any]) -> str:
    address = record["address"]
    values = [*(record[name] for name in BEFORE), *(address[name] for name in ADDRESS), *(record[n] for n in AFTER)]
    return "\t".join(map(_text, values)) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


if __name__ == "__main__":
    main()
