"""The fixtures every part of the contract uses."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar

import pytest
import requests
import structlog
import structlog.testing

from erpflow.connectors.account import Account
from erpflow.connectors.base import Connector
from erpflow.connectors.registry import build, connector_class
from erpflow.connectors.session import build_session
from erpflow.testing.tokens import NeverConnected
from erpflow.testing.vendor import Credentials, RecordingLimiter, VendorDouble
from erpflow.vocabulary import Operation

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
    writable: ClassVar[Collection[str]] = ()
    """The entities the contract may write to; then the `vendor` fixture returns a `WritableVendor`."""
    unique: ClassVar[Mapping[str, str]] = {}
    """By entity, a field whose value only one record may have; `values_for` fills it."""
    amountless: ClassVar[Collection[str]] = ()
    """The writable entities without an amount: their `Fields.money` is None."""

    def __init_subclass__(cls, **options: Any) -> None:
        """A test without a subject is no test of this class: it is neither run nor skipped."""
        super().__init_subclass__(**options)
        if not hasattr(cls, "system"):
            return
        without = {parameter for parameter, subjects in cls.subjects().items() if not subjects}
        for name, test in inspect.getmembers(cls, inspect.isfunction):
            if name.startswith("test") and without.intersection(inspect.signature(test).parameters):
                setattr(cls, name, None)

    @classmethod
    def subjects(cls) -> Mapping[str, tuple[str, ...]]:
        """The entities each kind of test is about, by the name of its parameter.

        Raises TypeError for writable entities that the data sheet does not write.
        """
        known = connector_class(cls.system).spec.entities
        strange = sorted({*cls.writable, *cls.unique} - {name for name, spec in known.items() if spec.writes})
        if strange:
            raise TypeError(f"{cls.__name__}: the data sheet of {cls.system} writes no {', '.join(strange)}")
        written = {name: spec for name, spec in known.items() if name in cls.writable}

        def by(operation: Operation) -> tuple[str, ...]:
            return tuple(name for name, spec in written.items() if operation in spec.writes)

        changed, deleted = by(Operation.UPDATE), by(Operation.DELETE)
        read = cls.entities or tuple(known)
        return {
            "entity": read,
            "dated": tuple(name for name in read if known[name].modified is not None),
            "undated": tuple(name for name in read if known[name].modified is None and not known[name].windowed),
            "windowed": tuple(name for name in read if known[name].windowed),
            "tracked": tuple(name for name in read if known[name].modified is not None or known[name].windowed),
            "in_order": tuple(name for name in read if known[name].ordered),
            "written": tuple(written),
            "creatable": by(Operation.CREATE),
            "priced": tuple(name for name in by(Operation.CREATE) if name not in cls.amountless),
            "updatable": changed,
            "deletable": deleted,
            "locked_update": tuple(name for name in changed if known[name].checks_version),
            "locked_delete": tuple(name for name in deleted if known[name].checks_version),
            "repeatable": tuple(name for name in by(Operation.CREATE) if known[name].repeatable_create),
            "unique_entity": tuple(name for name in by(Operation.CREATE) if name in cls.unique),
            "trashed": tuple(name for name, spec in known.items() if spec.deleted_feed),
        }

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        for parameter, entities in self.subjects().items():
            if parameter in metafunc.fixturenames:
                metafunc.parametrize(parameter, entities)
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
    def events(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
        """Every event a connector logs, whoever configured logging before: a logger in use keeps its configuration."""
        before = structlog.get_config()
        structlog.reset_defaults()
        own = connector_class(self.system).__module__
        for name, module in list(sys.modules.items()):
            if (name == own or name.startswith("erpflow.connectors")) and hasattr(module, "log"):
                monkeypatch.setattr(module, "log", structlog.get_logger())
        with structlog.testing.capture_logs() as captured:
            yield captured
        structlog.configure(**before)

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
            connector = connector_class(self.system)
            tokens = given.tokens or (NeverConnected() if connector.oauth is not None else None)
            account = Account(vendor.base_url, given.login, given.password, given.extra, tokens)
            session = build_session(connector, account)
            session.trust_env = False
            sessions.append(session)
            defaults: dict[str, Any] = {
                "base_url": connector.address(account),
                "private_networks": connector.may_reach_private(account),
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
