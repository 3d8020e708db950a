"""Batches: up to 30 independent things, done one after the other; each has its own answer, and its own fault."""

from collections.abc import Mapping
from typing import Any

from sandbox.quickbooks import query, saving
from sandbox.quickbooks.company import Company
from sandbox.quickbooks.entities import ENTITIES
from sandbox.quickbooks.faults import Refused, required, unsupported

MOST = 30


def run(company: Company, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer to each item. Raises Refused when the batch as a whole makes no sense."""
    items = body.get("BatchItemRequest")
    if not isinstance(items, list):
        raise required("BatchItemRequest")
    if len(items) > MOST:
        raise Refused("1040", "Batch limit exceeded", f"The number of batch items exceeds the maximum of {MOST}")
    return [_one(company, item) for item in items]


def _one(company: Company, item: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"bId": item.get("bId")}
    try:
        return {**answer, **_done(company, item)}
    except Refused as refused:
        return {**answer, "Fault": refused.fault()}


def _done(company: Company, item: Mapping[str, Any]) -> dict[str, Any]:
    if "Query" in item:
        return {"QueryResponse": query.run(company, str(item["Query"]))}
    entity = next((name for name in item if name in ENTITIES), None)
    if entity is None:
        raise required("entity")
    body, operation = item[entity], item.get("operation")
    if operation == "create":
        return {entity: saving.create(company, entity, body).values}
    if operation == "update":
        return {entity: saving.update(company, entity, body).values}
    if operation == "delete":
        return {entity: saving.delete(company, entity, body)}
    raise unsupported("operation")
