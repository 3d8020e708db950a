"""The GST portal, asked through a GSP: a taxpayer's session, and GSTR-1 saved, looked at and filed.

Its oddities: docs/systems/gst_portal.md. What it is asked for and when is `services/gst/submitting.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from erpflow.connectors.account import Account
from erpflow.connectors.base import CheckResult, ConnectorSpec, Limits, reported
from erpflow.connectors.gst_portal_crypto import PortalSession, evc_signature
from erpflow.connectors.gst_portal_errors import NOTHING_FOUND, PortalRefused, SessionNeeded
from erpflow.connectors.gst_portal_wire import SETTINGS, GspAuth, Taxpayer, Wire, decoded, read
from erpflow.connectors.service import Service
from erpflow.connectors.transport import ONE_ATTEMPT, Timeouts, Transport
from erpflow.errors import ProtocolError

FORM: Final = "R1"
LARGEST_SAVE: Final = 5 * 1024 * 1024
"""Bytes of one save (UNVERIFIED)."""

IN_PROGRESS: Final = frozenset({"IP", "REC"})
_UNTOLD_MINUTES: Final = 360  # a session lasts six hours unless the answer says otherwise


@dataclass(frozen=True, slots=True)
class RowError:
    """Why the portal refuses rows of one group: its code and words, and the numbers of the documents in it."""

    section: str
    code: str
    message: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How far the portal is with what was sent: IP, REC (still at it), P (done), PE (done but for `errors`), ER."""

    code: str
    errors: tuple[RowError, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether it is through with it."""
        return self.code not in IN_PROGRESS


class _Token(msgspec.Struct):
    auth_token: str
    sek: str = ""
    expiry: int | str = _UNTOLD_MINUTES


class _Reference(msgspec.Struct):
    reference_id: str = ""
    ref_id: str = ""


class _Status(msgspec.Struct):
    status_cd: str
    error_report: Any = None


class _Acknowledged(msgspec.Struct):
    ack_num: str


class _Filed(msgspec.Struct):
    arn: str = ""
    ret_prd: str = ""
    status: str = ""
    rtntype: str = ""


class _Track(msgspec.Struct):
    filed: list[_Filed] = msgspec.field(default_factory=list, name="EFiledlist")


class GstPortal(Service):
    """One taxpayer at the portal, by one GSP."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="gst_portal",
        title="GST portal",
        auth=("client_id", "otp"),
        entities={},
        limits=Limits(per_second=10.0, concurrent=2),  # polite ones of ours: GSPs publish none
        settings=SETTINGS,
        required_settings=frozenset({"gstin", "username"}),
        credentials=frozenset({"login", "password"}),
        timeouts=Timeouts(connect=10.0, read=30.0, total=60.0),
    )

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._wire = Wire(transport)

    @classmethod
    def auth(cls, account: Account) -> GspAuth:
        return GspAuth(account.login, account.password, Taxpayer.of(account))

    @property
    def gstin(self) -> str:
        """Whose account it is."""
        return self._wire.taxpayer.gstin

    def wait(self, seconds: float) -> None:
        """Wait before asking again."""
        self._wire.wait(seconds)

    @reported
    def check(self) -> CheckResult:
        """Asks for something that needs a session: that one is missing shows that the client is known.

        Asking for an OTP would send a message to a person. That a wrong client is told first is UNVERIFIED.
        """
        query = {"action": "RETTRACK", "gstin": self.gstin, "type": FORM}
        with suppress(SessionNeeded, PortalRefused):
            self._wire.get("returns_path", query, session=None, retries=ONE_ATTEMPT)
        message = "The GSP knows the client. A session is opened with an OTP when a return is submitted."
        return CheckResult(success=True, message=message, account=self.gstin)

    # -- the session ---------------------------------------------------------------------------------------------------

    def request_otp(self) -> str:
        """Have the portal send an OTP to the taxpayer's phone: a key, to be given back with it. Each call sends one."""
        pending, members = self._wire.envelope.new_key()
        self._wire.authenticate("OTPREQUEST", members, retries=ONE_ATTEMPT)
        return pending

    def open_session(self, otp: str, *, pending: str, now: Callable[[], datetime] | None = None) -> PortalSession:
        """A session for an OTP. Raises OtpRefused."""
        members = self._wire.envelope.otp(otp, pending=pending)
        answer = self._wire.authenticate("AUTHTOKEN", members, retries=ONE_ATTEMPT)
        return self._session(decoded(answer, _Token), pending, now)

    def refresh(self, session: PortalSession, *, now: Callable[[], datetime] | None = None) -> PortalSession:
        """A session in place of one that is about to end. Raises SessionNeeded when it has."""
        pending, members = self._wire.envelope.renewal(session)
        members = {**members, "auth_token": session.auth_token}
        answer = self._wire.authenticate("REFRESHTOKEN", members, retries=ONE_ATTEMPT)
        return self._session(decoded(answer, _Token), pending, now)

    def _session(self, token: _Token, pending: str, now: Callable[[], datetime] | None) -> PortalSession:
        try:
            minutes = int(token.expiry)
        except ValueError:
            minutes = _UNTOLD_MINUTES
        key = self._wire.envelope.session_key(token.sek, pending=pending)
        at = now() if now is not None else datetime.now(UTC)
        return PortalSession(token.auth_token, key, at + timedelta(minutes=minutes))

    def request_evc_otp(self, session: PortalSession, *, pan: str) -> None:
        """Have the portal send the OTP that a person signs a return with. Each call sends one."""
        query = {"action": "EVCOTP", "gstin": self.gstin, "pan": pan, "form_type": FORM}
        self._wire.get("authenticate_path", query, session=session, retries=ONE_ATTEMPT)

    # -- the return ----------------------------------------------------------------------------------------------------

    def save(self, session: PortalSession, *, period: str, payload: bytes) -> str:
        """Have rows saved: a reference to ask after. The portal replaces what it knows, so it may be sent again."""
        return self._reference("PUT", "gstr1_path", "RETSAVE", payload, session=session, period=period)

    def reset(self, session: PortalSession, *, period: str) -> str:
        """Have everything that is saved for a period wiped: a reference to ask after."""
        return self._reference("POST", "gstr1_path", "RESET", self._about(period), session=session, period=period)

    def proceed(self, session: PortalSession, *, period: str, is_nil: bool) -> str:
        """Have the saved rows made ready to be filed: a reference to ask after.

        Raises PortalRefused (RET00003) when they are already.
        """
        data = self._about(period, isnil="Y" if is_nil else "N")
        return self._reference("POST", "proceed_path", "RETNEWPTF", data, session=session, period=period)

    def status(self, session: PortalSession, *, period: str, reference: str) -> Status:
        """How far the portal is with what a reference stands for."""
        query = {"action": "RETSTATUS", "gstin": self.gstin, "ret_period": period, "ref_id": reference}
        found = read(self._wire.get("returns_path", query, session=session), _Status, of="RETSTATUS")
        return Status(found.status_cd, tuple(_row_errors(found.error_report)))

    def summary(self, session: PortalSession, *, period: str) -> bytes:
        """The portal's own sums of a period, as JSON byte for byte: it is filed by sending it back unchanged."""
        query = {"action": "RETSUM", "gstin": self.gstin, "ret_period": period}
        return self._wire.get("gstr1_path", query, session=session)

    def file(self, session: PortalSession, *, period: str, summary: bytes, pan: str, evc_otp: str) -> str:
        """File a return: its acknowledgement number (ARN). Sent once and never again by itself.

        Raises OtpRefused, PortalRefused (RET09001: the summary is not the latest; RET12521: filed already), and
        whatever leaves it open whether it was filed (`maybe_done`).
        """
        sid = f"{pan}|{evc_otp}"
        more = {"sign": evc_signature(summary, sid), "st": "EVC", "sid": sid}
        data = self._wire.send(
            "POST", "gstr1_path", "RETFILE", summary, session=session, more=more, period=period, is_repeatable=False,
            retries=ONE_ATTEMPT,
        )  # fmt: skip
        try:
            acknowledged: _Acknowledged = read(data, _Acknowledged, of="RETFILE")
        except ProtocolError as error:
            error.maybe_done = True
            raise
        return acknowledged.ack_num

    def filed(self, session: PortalSession, *, period: str) -> str | None:
        """The ARN of the period's return, if the portal has it as filed; None when it has not."""
        query = {"action": "RETTRACK", "gstin": self.gstin, "ret_period": period, "type": FORM}
        try:
            found = read(self._wire.get("returns_path", query, session=session), _Track, of="RETTRACK")
        except PortalRefused as refused:
            if refused.code in NOTHING_FOUND:
                return None
            raise
        ours = (each for each in found.filed if each.ret_prd == period and each.arn)
        return next((each.arn for each in ours), None)

    def _reference(
        self, method: str, operation: str, action: str, data: bytes, *, session: PortalSession, period: str
    ) -> str:
        answer = self._wire.send(method, operation, action, data, session=session, period=period, is_repeatable=True)
        found: _Reference = read(answer, _Reference, of=action)
        if not (found.reference_id or found.ref_id):
            raise ProtocolError(f"The GST portal took {action} and gave no reference to ask after.", maybe_done=True)
        return found.reference_id or found.ref_id

    def _about(self, period: str, **more: str) -> bytes:
        return msgspec.json.encode({"gstin": self.gstin, "ret_period": period, **more})


def _row_errors(report: Any) -> list[RowError]:
    """An error report, which mirrors the payload: what is wrong is said of each group, or of the whole."""
    if not isinstance(report, dict):
        return []
    if "error_cd" in report:
        return [_row_error("", report)]
    found = [(str(section), groups if isinstance(groups, list) else [groups]) for section, groups in report.items()]
    return [_row_error(section, group) for section, groups in found for group in groups if isinstance(group, dict)]


def _row_error(section: str, group: dict[str, Any]) -> RowError:
    rows = [row for key in ("inv", "nt") if isinstance(group.get(key), list) for row in group[key]] or [group]
    numbers = [str(row.get("inum") or row.get("nt_num") or "") for row in rows if isinstance(row, dict)]
    return RowError(
        section=section,
        code=str(group.get("error_cd", "")),
        message=" ".join(str(group.get("error_msg", "")).split()),
        documents=tuple(number for number in numbers if number),
    )
