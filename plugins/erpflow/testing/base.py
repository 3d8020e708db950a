"""The fixtures every part of the contract uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import requests

from erpflow.connectors.base import Connector
from erpflow.connectors.registry import build, connector_class
from erpflow.connectors.session import build_session
from erpflow.testing.vendor import Credentials, RecordingLimiter, VendorDouble

HOSTILE_TEXTS = (
    "O'Brien & Söhne <b>GmbH</b>",
    'quotes " and \\ backslashes \\" and {"json": [1]}',
    "שלום עולם \u202eright to left\u202c",
    "line\nbreak\ttab",
    "Żółć 🎈👩‍👩‍👧 \U0001d54f",
    "'; DROP TABLE customers; --",
    "%s %(name)s {0} ${x} {{ x }}",
    "=cmd|' /C calc'!A0",
    "null",
)

Connect = Callable[..., Connector]


class ContractBase:
    """What every part of the contract is told by the subclass, and the fixtures made from it."""

    system: ClassVar[str]
    entities: ClassVar[tuple[str, ...]] = ()
    """The entities to test; all of the data sheet when empty."""
    page_size: ClassVar[int] = 5
    """Small, so that a few records make many pages."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "entity" in metafunc.fixturenames:
            known = connector_class(self.system).spec.entities
            metafunc.parametrize("entity", self.entities or tuple(known))
        if "hostile_text" in metafunc.fixturenames:
            metafunc.parametrize("hostile_text", HOSTILE_TEXTS)

    @pytest.fixture
    def vendor(self) -> VendorDouble:
        """The vendor in its first state. A subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} needs a `vendor` fixture that returns a VendorDouble")

    @pytest.fixture
    def limiter(self) -> RecordingLimiter:
        return RecordingLimiter()

    @pytest.fixture
    def slept(self) -> list[float]:
        """The waits a connector took, in seconds; nobody really waits."""
        return []

    @pytest.fixture
    def connect(self, vendor: VendorDouble, limiter: RecordingLimiter, slept: list[float]) -> Iterator[Connect]:
        """Makes connectors on the vendor, with the good credentials or given ones."""
        sessions: list[requests.Session] = []

        def make(credentials: Credentials | None = None, **options: Any) -> Connector:
            given = credentials or vendor.good()
            session = build_session(connector_class(self.system), login=given.login, password=given.password)
            session.trust_env = False
            sessions.append(session)
            defaults: dict[str, Any] = {
                "base_url": vendor.base_url,
                "limiter": limiter,
                "page_size": self.page_size,
                "sleep": slept.append,
            }
            return build(self.system, session, **{**defaults, **options})

        yield make
        for session in sessions:
            session.close()

    @pytest.fixture
    def some_entity(self) -> str:
        """Any one entity, for what does not depend on which."""
        return self.entities[0] if self.entities else next(iter(connector_class(self.system).spec.entities))
