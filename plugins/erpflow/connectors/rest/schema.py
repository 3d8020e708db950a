"""The JSON Schema of declarations, for editors: completion, hover texts and red lines while one types.

Write it anew with `python -m erpflow.connectors.rest.schema > include/connector.schema.json`; a test compares the two.
"""

from __future__ import annotations

import json
import sys

from erpflow.connectors.rest.model import Declaration


def schema_text() -> str:
    """The committed form of the schema."""
    schema = {key: value for key, value in Declaration.model_json_schema().items() if key != "title"}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "erpflow connector", **schema}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
