"""The JSON Schema of mapping files, for editors: completion, hover texts and red lines while one types.

Write it anew with `python -m erpflow.mapping.schema > include/mapping.schema.json`; a test compares the two.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from erpflow.mapping.forms import TRANSFORM_SCHEMA
from erpflow.mapping.model import Mapping
from erpflow.mapping.transforms import known_transforms


def json_schema() -> dict[str, Any]:
    """The schema; it knows the built-in transforms by name and lets a user's own pass."""
    schema = Mapping.model_json_schema()
    builtin = sorted(made.name for made in known_transforms().values() if made.source is None)
    forms = [{"enum": builtin}, *TRANSFORM_SCHEMA["anyOf"]]
    schema = _with_references(schema)
    schema["$defs"]["Transform"] = {**TRANSFORM_SCHEMA, "anyOf": forms}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "erpflow mapping",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _with_references(part: Any) -> Any:
    """The schema with each transform's own replaced by a reference to the one definition."""
    if part == TRANSFORM_SCHEMA:
        return {"$ref": "#/$defs/Transform"}
    if isinstance(part, dict):
        return {key: _with_references(value) for key, value in part.items()}
    return [_with_references(item) for item in part] if isinstance(part, list) else part


def schema_text() -> str:
    """The committed form of the schema."""
    return json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
