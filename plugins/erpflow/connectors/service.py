"""What a service is: a system that is asked to do something, and has nothing to sync.

It sends mail, files a return, reads a document. It is connected, signed in to, limited and tried out like any other
system; only the entities are missing, so no DAG of it exists and nothing below ever asks for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NoReturn

from erpflow.connectors.base import Connector, Page, PageToken, RawRecord
from erpflow.errors import ConfigError
from erpflow.vocabulary import RemoteId, VendorRecord, Window


class Service(Connector):
    """A connector without entities. What it does is its own methods; `check` and the data sheet are as everybody's."""

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        self._has_no(entity)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        self._has_no(entity)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        cls._has_no(entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return None

    @classmethod
    def _has_no(cls, entity: str) -> NoReturn:
        raise ConfigError(f"{cls.spec.title} is a service: it has no {entity}, and nothing to sync.")
