"""Reading a connector to its end, for tests."""

# ruff: noqa: S101  (a test shall fail here)

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from erpflow.connectors.base import Connector, Page, PageToken
from erpflow.vocabulary import RemoteId, Window


@dataclass
class Reading:
    """The pages of a read, and what is in them."""

    connector: Connector
    entity: str
    pages: list[Page] = field(default_factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for page in self.pages for record in records_of(self.connector, self.entity, page)]

    @property
    def ids(self) -> list[RemoteId]:
        key = self.connector.spec.entities[self.entity].key
        return [RemoteId(str(record[key])) for record in self.records]

    def instants(self) -> dict[RemoteId, datetime | None]:
        """The time of the last version of each record that was read, as the connector understands it."""
        spec = self.connector.spec.entities[self.entity]
        assert spec.modified is not None
        return {
            RemoteId(str(record[spec.key])): self.connector.instant(str(at_path(record, spec.modified)), zone=page.zone)
            for page in self.pages
            for record in records_of(self.connector, self.entity, page)
        }


def at_path(record: Mapping[str, Any], path: str) -> Any:
    """What is in a record where the data sheet says; dots lead into objects."""
    found: Any = record
    for step in path.split("."):
        found = found[step]
    return found


def read_all(
    connector: Connector,
    entity: str,
    window: Window | None = None,
    *,
    resume: PageToken | None = None,
    after_page: Callable[[Reading], None] = lambda reading: None,
    most: int = 10_000,
) -> Reading:
    """Every page of a window; `after_page` sees what was read so far before the next page is asked for."""
    reading = Reading(connector, entity)
    for number, page in enumerate(connector.read(entity, window or Window(), resume=resume), start=1):
        reading.pages.append(page)
        assert number <= most, f"the read of {entity} does not end"
        after_page(reading)
    return reading


def records_of(connector: Connector, entity: str, page: Page) -> list[dict[str, Any]]:
    """The records of one page, decoded."""
    return [json.loads(bytes(raw)) for raw in type(connector).split(entity, page.raw)]
