"""Change data capture: what changed since a moment, deleted transactions as stubs, cut where it is too much."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.quickbooks.clock import wire_time
from sandbox.quickbooks.company import Company
from sandbox.quickbooks.entities import ENTITIES
from sandbox.quickbooks.faults import business, invalid_query, required

LOOK_BACK = timedelta(days=30)


def capture(company: Company, entities: str, since: str) -> list[dict[str, Any]]:
    """One `QueryResponse` for each entity that was asked for; an empty one where nothing changed. Raises Refused."""
    if not entities or not since:
        raise required("entities" if not entities else "changedSince")
    moment = _moment(since)
    if moment < company.clock.now() - LOOK_BACK:
        raise business("changedSince must not be more than 30 days back.", "changedSince")
    responses = []
    for asked in entities.split(","):
        entity = next((name for name in ENTITIES if name.lower() == asked.strip().lower()), None)
        if entity is None:
            raise invalid_query(f"{asked} is not supported by change data capture")
        responses.append(_changed(company, entity, moment))
    return responses


def _changed(company: Company, entity: str, since: datetime) -> dict[str, Any]:
    """The changes of one entity, oldest first; of too many one end is left out, and nothing says so."""
    found = [(row.at, int(row.values["Id"]), row.values) for row in company.tables[entity].values() if row.at >= since]
    for (name, row_id), at in company.gone.items():
        if name == entity and at >= since:
            found.append((at, int(row_id), _stub(row_id, at)))
    found.sort(key=lambda change: change[:2])
    most = company.switches.cdc_most
    unasked = ENTITIES[entity].unasked
    kept = found[:most] if company.switches.cdc_cut == "newest" else found[-most:]
    if not kept:
        return {}
    shown = [{name: value for name, value in values.items() if name not in unasked} for _, _, values in kept]
    return {entity: shown, "startPosition": 1, "maxResults": len(kept)}


def _stub(row_id: str, at: datetime) -> dict[str, Any]:
    return {"domain": "QBO", "status": "Deleted", "Id": row_id, "MetaData": {"LastUpdatedTime": wire_time(at)}}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise business(f"Invalid changedSince: {text}", "changedSince") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
