"""dlt's fastest way: pages parsed by orjson into Arrow tables, which skip dlt's normalising of every row.

Every loader file format (`parquet`, which goes through ADBC, `csv`, `insert_values`) and merge (`MERGES`) can be chosen
by the environment variables below; the defaults are the fastest. What each takes: docs/benchmarks.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import dlt  # type: ignore[import-not-found]  # the peers' environment has these three
import orjson  # type: ignore[import-not-found]
import pyarrow as pa  # type: ignore[import-not-found]
import requests

from bench.job import Job, answer

MERGES: dict[str, dict[str, Any]] = {
    "upsert": {"disposition": "merge", "strategy": "upsert"},
    "upsert-skip-unchanged": {
        "disposition": "merge",
        "strategy": "upsert",
        "skip_unchanged_rows": True,
        # Without a version column dlt compares all columns, and Postgres cannot compare the JSON ones that ADBC makes.
        "row_version_column_name": "updated_at",
    },
    "delete-insert": {"disposition": "merge", "strategy": "delete-insert"},
    "delete-insert-deduplicated": {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True},
}

FILE_FORMAT = os.environ.get("BENCH_DLT_FILE_FORMAT", "parquet")
MERGE = os.environ.get("BENCH_DLT_MERGE", "upsert-skip-unchanged")
PAGES_PER_TABLE = int(os.environ.get("BENCH_DLT_PAGES_PER_TABLE", "1"))

TEXT = ("id", "name", "company_name", "email", "tax_id", "currency", "language", "status", "notes")
ADDRESS = ("street", "street2", "city", "state", "postcode", "country")
LISTS = ("phones", "tags")
DECIMALS = ("credit_limit", "balance")
TIMES = ("created_at", "updated_at")


def tables(url: str) -> Iterator[pa.Table]:
    """The source's pages as Arrow tables."""
    with requests.Session() as session:
        rows: list[dict[str, Any]] = []
        pages = 0
        following: str | None = url
        while following:
            page = orjson.loads(session.get(following, timeout=60).content)
            following = urljoin(following, page["next"]) if page["next"] else None
            rows += page["data"]
            pages += 1
            if pages == PAGES_PER_TABLE or following is None:
                yield table(rows)
                rows, pages = [], 0


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """One Arrow table of the 22 columns, typed by Arrow's own casts."""
    addresses = [row["address"] for row in rows]
    columns: dict[str, Any] = {name: pa.array([row[name] for row in rows], pa.string()) for name in TEXT}
    columns |= {f"address__{name}": pa.array([row[name] for row in addresses], pa.string()) for name in ADDRESS}
    columns |= {name: pa.array([orjson.dumps(row[name]).decode() for row in rows], pa.string()) for name in LISTS}
    for name in DECIMALS:
        columns[name] = pa.array([row[name] for row in rows], pa.string()).cast(pa.decimal128(38, 9))
    for name in TIMES:
        columns[name] = pa.array([row[name] for row in rows], pa.string()).cast(pa.timestamp("us", tz="UTC"))
    columns["is_active"] = pa.array([row["is_active"] for row in rows], pa.bool_())
    return pa.table(columns)


def load(job: Job) -> dict[str, Any]:
    """Runs the pipeline once."""
    resource = dlt.resource(
        tables(job.url),
        name="customers",
        primary_key="id",
        write_disposition=MERGES[MERGE],
        columns={name: {"data_type": "json"} for name in LISTS},
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench_arrow",
        pipelines_dir=job.folder,
        destination=dlt.destinations.postgres(job.database_url),
        dataset_name=job.schema,
    )
    pipeline.run(resource, loader_file_format=FILE_FORMAT).raise_on_failed_jobs()
    return {"dlt": dlt.__version__, "file_format": FILE_FORMAT, "merge": MERGE}


if __name__ == "__main__":
    answer(load)
