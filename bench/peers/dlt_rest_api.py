"""dlt's `rest_api` source with merge by primary key: what its documentation recommends for a paged JSON API.

Type hints are given for what JSON cannot say (decimals and times in strings, lists kept as JSON columns), so that the
table is the one erpflow writes; dlt flattens `address` into columns by itself. Workers, buffers, the loader file format
(`insert_values`) and the merge strategy (`delete-insert`) are dlt's defaults.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import dlt  # type: ignore[import-not-found]  # the peers' environment has it
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

from bench.job import Job, answer

COLUMNS: dict[str, dict[str, Any]] = {
    "phones": {"data_type": "json"},
    "tags": {"data_type": "json"},
    "credit_limit": {"data_type": "decimal"},
    "balance": {"data_type": "decimal"},
    "created_at": {"data_type": "timestamp"},
    "updated_at": {"data_type": "timestamp"},
}


def load(job: Job) -> dict[str, Any]:
    """Runs the pipeline once."""
    url = urlsplit(job.url)
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url.scheme}://{url.netloc}",
                "paginator": {"type": "json_link", "next_url_path": "next"},
            },
            "resources": [
                {
                    "name": "customers",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "columns": COLUMNS,
                    "endpoint": {"path": url.path, "data_selector": "data"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench_rest_api",
        pipelines_dir=job.folder,
        destination=dlt.destinations.postgres(job.database_url),
        dataset_name=job.schema,
    )
    pipeline.run(source).raise_on_failed_jobs()
    return {"dlt": dlt.__version__}


if __name__ == "__main__":
    answer(load)
