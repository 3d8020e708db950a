"""A Service Layer as the modules of its connector see it: signed in to, asked for lists, told in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import CheckResult, reported
from erpflow.connectors.sap_b1_batch import Operation, batch_body, new_boundary, parts_of_batch
from erpflow.connectors.sap_b1_errors import fault_of, judge, judge_login
from erpflow.connectors.sap_b1_records import Listing, decode
from erpflow.connectors.sap_b1_session import B1Session, Settings, Ticket
from erpflow.connectors.sap_b1_text import query_of
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.errors import ConfigError, ErpflowError, ProtocolError, VendorUnavailable

log = structlog.get_logger(__name__)

REPLACE_LINES: Final = {"B1S-ReplaceCollectionsOnPatch": "true"}
_JSON: Final = {"Content-Type": "application/json"}
_ALL_ROWS: Final = 0


class _Login(msgspec.Struct):
    session: str = msgspec.field(name="SessionId")
    layer: str | None = msgspec.field(name="Version", default=None)


class _Company(msgspec.Struct):
    layer: str | int | None = msgspec.field(name="Version", default=None)


_LOGIN: Final = msgspec.json.Decoder(_Login)
_COMPANY: Final = msgspec.json.Decoder(_Company)


class Layer:
    """One company behind one Service Layer, over its transport."""

    def __init__(self, transport: Transport) -> None:
        auth = transport.auth
        if not isinstance(auth, B1Session):
            raise ConfigError("A Service Layer is signed in to with a session: build the connector from a connection.")
        self._transport = transport
        self._session = auth
        self._root = f"/b1s/{auth.settings.version}"
        auth.bind(self._log_in)
        transport.before_closing(lambda: auth.sign_out(self._log_out))

    @property
    def settings(self) -> Settings:
        return self._session.settings

    @property
    def zone(self) -> str:
        """The server's time zone. Raises ConfigError when the connection does not say."""
        if self.settings.zone is None:
            raise ConfigError(
                "The connection does not say in which time zone the server is: times come without one. Put its IANA "
                "name (such as Europe/Berlin) into time_zone of the connection's extra."
            )
        return ZoneInfo(self.settings.zone).key

    @reported
    def check(self) -> CheckResult:
        """Signs in and asks for the company. Never raises."""
        self._session.sign_in()
        zone = self.zone
        path = f"{self._root}/CompanyService_GetCompanyInfo"
        answer = self._transport.request("POST", path, judge=judge, idempotent=True, retries=ONE_ATTEMPT)
        layer = decode(answer, _COMPANY).layer or self._session.layer
        account = f"{self.settings.user} at {self.settings.company}"
        message = f"Signed in as {account} (version {layer}, server time {zone})"
        return CheckResult(success=True, message=message, account=account)

    def listing(
        self, collection: str, *, fields: Sequence[str], only: str, order: str, limit: int = _ALL_ROWS
    ) -> Listing:
        """Rows of an entity set. `limit` rows at most in one answer (0: all there are); the vendor may send fewer."""
        self._session.sign_in()
        answer = self._transport.request(
            "GET",
            f"{self._root}/{collection}",
            query=query_of(select=",".join(fields), filter=only, orderby=order),
            headers={"Prefer": f"odata.maxpagesize={limit}"},
            judge=judge,
        )
        return Listing(answer)

    def tell(self, operations: Sequence[Operation]) -> list[Answer]:
        """Writes, each for itself, in one request: the answers there are, in their order.

        The vendor stops at the first that fails; so only the last answer may be a failure, and those behind it were not
        done. Raises ProtocolError when an answer is missing and nothing says why.
        """
        self._session.sign_in()
        boundary = new_boundary()
        answer = self._transport.request(
            "POST",
            f"{self._root}/$batch",
            body=batch_body(operations, root=self._root, host=self._transport.host, boundary=boundary),
            headers={"Content-Type": f"multipart/mixed;boundary={boundary}", "Accept": "multipart/mixed"},
            judge=judge,
            idempotent=False,
        )
        return parts_of_batch(answer, operations, root=self._root)

    def sign_in(self) -> None:
        """See to it that there is a session, before anything is sent that may be done."""
        self._session.sign_in()

    # -- the session -------------------------------------------------------------------------------------------------

    def _log_in(self) -> Ticket:
        """Raises what a login raises; whatever that is, what waits for the session was not done."""
        try:
            return self._opened()
        except (VendorUnavailable, ProtocolError) as error:
            error.maybe_done = False
            raise

    def _opened(self) -> Ticket:
        body = msgspec.json.encode(self._session.credentials())
        path = f"{self._root}/Login"
        # A login changes nothing, so it may be sent again; but a refused one is not: it counts against the user.
        answer = self._transport.request("POST", path, body=body, headers=_JSON, judge=judge_login, idempotent=True)
        found = decode(answer, _LOGIN)
        if not found.session or not found.session.isascii() or not found.session.isprintable():
            raise ProtocolError("SAP Business One answered a login without a session.")
        node = _node_of(answer.headers.get("Set-Cookie", ""))
        cookie = f"B1SESSION={found.session}" + (f"; ROUTEID={node}" if node else "")
        log.info("signed_in", host=self._transport.host, layer=found.layer)
        return Ticket(cookie=cookie, layer=found.layer or "")

    def _log_out(self) -> None:
        try:
            self._transport.request(
                "POST", f"{self._root}/Logout", judge=_gone_is_fine, retries=ONE_ATTEMPT, limited=False
            )
        except ErpflowError as error:  # nobody waits for it: the vendor ends the session by itself
            log.info("signing_out_failed", host=self._transport.host, error=type(error).__name__)


def _gone_is_fine(answer: Answer) -> ErpflowError | None:
    return None if answer.status == 401 and fault_of(answer.body) else judge(answer)


def _node_of(cookies: str) -> str:
    """The node that knows the session, of Set-Cookie headers that HTTP libraries join with commas."""
    for part in cookies.replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "ROUTEID" and value.isascii() and value.isprintable():
            return value
    return ""
