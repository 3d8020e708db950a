"""A return on its way through the portal: saved, polled, made ready, compared, and filed by a person's word.

Every step is kept before the next one begins, so that the same request goes on from where it stands, whoever was killed
in between. Saving replaces what the portal has and may be repeated; filing is sent once, and what nobody knows of it is
looked up before anything else is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from erpflow.connectors.gst_portal import LARGEST_SAVE, GstPortal, Status
from erpflow.connectors.gst_portal_crypto import PortalSession
from erpflow.connectors.gst_portal_errors import (
    ALREADY_FILED,
    ALREADY_READY,
    SUMMARY_CHANGED,
    PortalRefused,
    SessionNeeded,
)
from erpflow.errors import ConfigError, ErpflowError
from erpflow.services.gst.gstr1.chunks import chunks_of
from erpflow.services.gst.gstr1.summary import differences
from erpflow.services.gst.sessions import OtpNeeded, Sessions
from erpflow.store import gst_returns
from erpflow.store.gst_returns import GstReturn
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import ConnectionId, GstReturnState, TenantId

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 25.0
"""How long the portal is asked again within one request. It may need minutes: then the caller asks again."""

_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 10.0

SETTLE_AFTER: Final = timedelta(minutes=2)
"""A filing whose answer was lost may still be worked on for so long: only then "not filed" is believed (UNVERIFIED)."""


class NotSubmittable(ConfigError):
    """The return cannot go on: `code` says why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signature:
    """A person's word that a return is to be filed. Without `evc_otp` the portal sends one."""

    pan: str
    evc_otp: str | None = field(default=None, repr=False)


class Submitter:
    """Takes one tenant's returns through the portal. `by`: who asked, kept with a filing."""

    def __init__(
        self,
        database: TenantDatabase,
        tenant_id: TenantId,
        portal: GstPortal,
        sessions: Sessions,
        *,
        connection_id: ConnectionId,
        by: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_s: float | None = None,
        largest: int = LARGEST_SAVE,
    ) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._portal = portal
        self._sessions = sessions
        self._connection_id = connection_id
        self._by = by
        self._now = now
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._largest = largest
        self._waited = 0.0

    def submit(
        self, row: GstReturn, *, otp: str | None = None, reset: bool = False, signature: Signature | None = None
    ) -> GstReturn:
        """Go on with a return as far as it goes now. `reset`: wipe what is saved at the portal first, and save anew.

        Raises NotSubmittable, OtpNeeded, OtpRefused, AlreadyRunning, and what the portal refuses; how far it came is
        kept in any case.
        """
        self._check(row)
        if row.state is GstReturnState.FILED:
            return row
        with self._database.session(self._tenant_id) as store:
            row = gst_returns.claim(store, row.id)
        try:
            if row.state is GstReturnState.FILED:  # meanwhile
                return row
            return self._in_session(row, otp, reset=reset, signature=signature)
        finally:
            with self._database.session(self._tenant_id) as store:
                gst_returns.release(store, row)

    def _check(self, row: GstReturn) -> None:
        if row.is_blocked:
            raise NotSubmittable(
                "The return has problems that have to be corrected first. Correct the documents and generate it again.",
                code="has_problems",
            )
        if self._portal.gstin != row.gstin:
            raise NotSubmittable(
                f"The return is of {row.gstin}, and the connection is {self._portal.gstin}'s.", code="other_gstin"
            )
        with self._database.session(self._tenant_id) as store:
            other = gst_returns.other_filing(store, row)
        if other is not None:
            raise NotSubmittable(
                f"The return {other} of the same GSTIN and period was filed, or may have been: a period is filed once. "
                "What is missing goes into a later period, or into GSTR-1A at the portal.",
                code="already_filed",
            )

    def _in_session(self, row: GstReturn, otp: str | None, *, reset: bool, signature: Signature | None) -> GstReturn:
        try:
            session = self._sessions.current(self._portal, otp=otp)
            return self._go_on(
                replace(row, connection_id=self._connection_id), session, reset=reset, signature=signature
            )
        except SessionNeeded:
            self._sessions.end()
            raise self._sessions.ask(self._portal) from None

    def _go_on(self, row: GstReturn, session: PortalSession, *, reset: bool, signature: Signature | None) -> GstReturn:
        if reset:
            row = self._begin(row, with_reset=True)
        if row.state is GstReturnState.UNKNOWN:
            return self._settle(row, session)
        if row.state is GstReturnState.GENERATED:
            row = self._begin(row, with_reset=False)
        if row.state is GstReturnState.SAVING:
            row = self._save(row, session)
        if row.state is GstReturnState.SAVED:
            row = self._make_ready(row, session)
        if row.state is GstReturnState.READY_TO_FILE and signature is not None:
            row = self._file(row, session, signature)
        return row

    # -- saving --------------------------------------------------------------------------------------------------------

    def _begin(self, row: GstReturn, *, with_reset: bool) -> GstReturn:
        if row.state is GstReturnState.UNKNOWN:
            raise NotSubmittable(
                "The return may have been filed: repeat the request without reset, so that this is found out first.",
                code="may_be_filed",
            )
        chunks = [
            {"digest": hashlib.sha256(chunk).hexdigest(), "reference": None, "status": None}
            for chunk in chunks_of(row.payload.encode(), largest=self._largest)
        ]
        progress: dict[str, Any] = {"chunks": chunks}
        if with_reset:
            progress["reset"] = {"reference": None, "status": None}
        return self._kept(
            row,
            state=GstReturnState.SAVING,
            progress=progress,
            row_errors=[],
            differences=[],
            summary=None,
            message=None,
        )

    def _save(self, row: GstReturn, session: PortalSession) -> GstReturn:
        if "reset" in row.progress:
            row = self._worked(
                row, row.progress["reset"], lambda: self._portal.reset(session, period=row.period), session
            )
            if row.progress["reset"]["status"] != "P":
                return self._kept(row, message=_waiting(row.progress["reset"], "the reset"))
        payloads = chunks_of(row.payload.encode(), largest=self._largest)
        steps = row.progress["chunks"]
        if [hashlib.sha256(each).hexdigest() for each in payloads] != [step["digest"] for step in steps]:
            return self._begin(row, with_reset="reset" in row.progress)  # cut otherwise by another version
        for step, payload in zip(steps, payloads, strict=True):
            if step["reference"] is None:
                step["reference"] = self._portal.save(session, period=row.period, payload=payload)
                row = self._kept(row)
        for step in steps:
            row = self._polled(row, step, session)
        if not all(step["status"] for step in steps):
            return self._kept(row, message="The portal is still working on it. Ask again in a minute.")
        if all(step["status"] == "P" for step in steps):
            return self._kept(row, state=GstReturnState.SAVED, message=None)
        return self._kept(
            row,
            state=GstReturnState.SAVED_WITH_ERRORS,
            message="The portal refuses some rows and has saved the others. Correct the documents, generate the return "
            "again and submit that one, with reset if documents are gone.",
        )

    def _polled(self, row: GstReturn, step: dict[str, Any], session: PortalSession) -> GstReturn:
        """Ask after a step until it is settled or patience ends; what the portal says of rows is kept."""
        if step["status"]:
            return row
        wait = _FIRST_WAIT_S
        while True:
            status = self._portal.status(session, period=row.period, reference=step["reference"])
            if status.is_settled:
                break
            if self._waited + wait > self._patience_s:
                return row
            self._portal.wait(wait)
            self._waited += wait
            wait = min(wait * 2, _LONGEST_WAIT_S)
        return self._settled_step(row, step, status)

    def _settled_step(self, row: GstReturn, step: dict[str, Any], status: Status) -> GstReturn:
        step["status"] = status.code
        errors = [asdict(error) | {"documents": list(error.documents)} for error in status.errors]
        return self._kept(row, row_errors=[*row.row_errors, *errors])

    def _worked(
        self, row: GstReturn, step: dict[str, Any], send: Callable[[], str], session: PortalSession
    ) -> GstReturn:
        """Have one step done that is asked after: sent if it was not, or if it failed before."""
        if step["status"] not in (None, "P"):
            step.update(reference=None, status=None)
        if step["reference"] is None:
            step["reference"] = send()
            row = self._kept(row)
        return self._polled(row, step, session)

    # -- making ready --------------------------------------------------------------------------------------------------

    def _make_ready(self, row: GstReturn, session: PortalSession) -> GstReturn:
        step = row.progress.setdefault("proceed", {"reference": None, "status": None})
        if step["status"] != "P":
            is_nil = not row.progress["chunks"]
            try:
                row = self._worked(
                    row, step, lambda: self._portal.proceed(session, period=row.period, is_nil=is_nil), session
                )
            except PortalRefused as refused:
                if refused.code != ALREADY_READY:
                    raise
                step["status"] = "P"
        if step["status"] != "P":
            return self._kept(row, message=_waiting(step, "making it ready to file"))
        summary = self._portal.summary(session, period=row.period)
        payload = msgspec.json.decode(row.payload)
        found = differences(row.totals["sections"], payload, summary, gstin=row.gstin, period=row.period)
        if found:
            return self._kept(
                row,
                differences=[asdict(each) for each in found],
                message="The portal's sums are not those of the return: see differences. Something else is saved there "
                "for the period. Look at it there; reset wipes it and saves the return anew.",
            )
        return self._kept(
            row, state=GstReturnState.READY_TO_FILE, summary=summary.decode(), differences=[], message=None
        )

    # -- filing --------------------------------------------------------------------------------------------------------

    def _file(self, row: GstReturn, session: PortalSession, signature: Signature) -> GstReturn:
        if signature.evc_otp is None:
            self._portal.request_evc_otp(session, pan=signature.pan)
            raise OtpNeeded(
                "The GST portal has sent an EVC OTP to the signatory. Look at the sums, and send the same request "
                "again with it as file.evc_otp: that files the return, for good.",
                code="evc_otp_needed",
            )
        if self._portal.summary(session, period=row.period).decode() != row.summary:
            return self._kept(
                row, state=GstReturnState.SAVED, summary=None,
                message="The portal's summary has changed since it was compared, and nothing was filed. Repeat the "
                "request without file, look at the sums, and file then.",
            )  # fmt: skip
        # Kept before it is sent: whoever finds it so looks it up, and nobody sends it again.
        row = self._kept(row, state=GstReturnState.UNKNOWN, filing_by=self._by, filing_at=self._now(), message=None)
        summary = (row.summary or "").encode()
        try:
            arn = self._portal.file(
                session, period=row.period, summary=summary, pan=signature.pan, evc_otp=signature.evc_otp
            )
        except ErpflowError as error:
            return self._not_acknowledged(row, session, error)
        log.info("gst_return_filed", return_id=row.id, period=row.period, by=self._by)
        return self._filed(row, arn)

    def _not_acknowledged(self, row: GstReturn, session: PortalSession, error: ErpflowError) -> GstReturn:
        """What a filing is that was refused, or whose answer was lost."""
        code = getattr(error, "code", None)
        if getattr(error, "maybe_done", False) or code == ALREADY_FILED:
            log.warning("gst_filing_unknown", return_id=row.id, period=row.period)
            try:
                return self._settle(row, session)
            except SessionNeeded:
                raise
            except ErpflowError:
                return self._kept(row, message=_UNKNOWN)
        if code == SUMMARY_CHANGED:
            row.progress.pop("proceed", None)
        state = GstReturnState.SAVED if code == SUMMARY_CHANGED else GstReturnState.READY_TO_FILE
        self._kept(row, state=state, filing_by=None, filing_at=None, message=f"It was not filed. {error}")
        raise error

    def _settle(self, row: GstReturn, session: PortalSession) -> GstReturn:
        """Find out whether a filing arrived."""
        arn = self._portal.filed(session, period=row.period)
        if arn is not None:
            return self._filed(row, arn)
        if row.filing_at is not None and row.filing_at + SETTLE_AFTER > self._now():
            return self._kept(row, message=_UNKNOWN)
        return self._kept(
            row, state=GstReturnState.READY_TO_FILE, filing_by=None, filing_at=None,
            message="The filing did not arrive at the portal. Nothing was filed; it can be filed with a new EVC OTP.",
        )  # fmt: skip

    def _filed(self, row: GstReturn, arn: str) -> GstReturn:
        return self._kept(row, state=GstReturnState.FILED, arn=arn, filed_at=self._now(), message=None)

    def _kept(self, row: GstReturn, **changes: Any) -> GstReturn:
        current = replace(row, **changes)
        with self._database.session(self._tenant_id) as store:
            written = gst_returns.write(store, current)
        return replace(written, progress=current.progress)  # whoever works on a step of it goes on with that very one


_UNKNOWN: Final = (
    "It was sent to be filed, and the answer was lost. Repeat the request in some minutes: the portal is asked whether "
    "it has it, before anything is sent again."
)


def _waiting(step: dict[str, Any], what: str) -> str:
    if step["status"]:
        return f"The portal answers {what} with {step['status']}. Repeat the request to try it again."
    return f"The portal is still working on {what}. Ask again in a minute."
