"""Sessions at the GST portal: one for each connection, opened by a person's OTP, renewed while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from erpflow.connectors.gst_portal import GstPortal
from erpflow.connectors.gst_portal_crypto import PortalSession
from erpflow.errors import AuthFailed, VendorUnavailable
from erpflow.store import gst_sessions
from erpflow.store.cipher import Cipher
from erpflow.store.gst_sessions import KeptSession
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import ConnectionId, TenantId

RENEW_BEFORE: Final = timedelta(minutes=10)
ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
"""An OTP that was asked for so recently is on its way: another would make the first one worthless."""


class OtpNeeded(AuthFailed):
    """A person has to enter what the portal sent: `code` says which, `otp_needed` or `evc_otp_needed`."""

    def __init__(self, message: str, *, code: str = "otp_needed") -> None:
        super().__init__(message)
        self.code = code


class Sessions:
    """The session of one connection. No transaction is open while the portal is asked."""

    def __init__(
        self,
        database: TenantDatabase,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        *,
        cipher: Cipher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._connection_id = connection_id
        self._cipher = cipher
        self._now = now

    def current(self, portal: GstPortal, *, otp: str | None) -> PortalSession:
        """The open session, or the one that an OTP opens.

        Without either an OTP is asked for: raises OtpNeeded. Raises OtpRefused for a wrong one.
        """
        kept = self._kept()
        if kept.session is not None and kept.expires_at is not None and kept.expires_at > self._now():
            return self._renewed(portal, _read(kept.session, kept.expires_at))
        if otp is None or kept.pending is None:
            raise self.ask(portal, kept)
        session = portal.open_session(otp, pending=kept.pending, now=self._now)
        self._keep(session)
        return session

    def ask(self, portal: GstPortal, kept: KeptSession | None = None) -> OtpNeeded:
        """Have an OTP sent, unless one is on its way; what to tell the person."""
        known = kept or self._kept()
        if known.pending is None or known.asked_at is None or known.asked_at + ASK_AGAIN_AFTER < self._now():
            pending = portal.request_otp()
            with self._database.session(self._tenant_id) as store:
                gst_sessions.asked(store, self._connection_id, pending, at=self._now(), cipher=self._cipher)
        return OtpNeeded(
            f"The GST portal has sent an OTP to the phone of {portal.gstin}. Send the same request again with it as "
            '"otp". Nothing is lost: the return goes on from where it stands.'
        )

    def end(self) -> None:
        """The portal has ended the session."""
        with self._database.session(self._tenant_id) as store:
            gst_sessions.ended(store, self._connection_id)

    def _kept(self) -> KeptSession:
        with self._database.session(self._tenant_id) as store:
            return gst_sessions.get(store, self._connection_id, cipher=self._cipher)

    def _renewed(self, portal: GstPortal, session: PortalSession) -> PortalSession:
        if session.expires_at - RENEW_BEFORE > self._now():
            return session
        try:
            renewed = portal.refresh(session, now=self._now)
        except VendorUnavailable:
            return session  # it still holds for some minutes
        self._keep(renewed)
        return renewed

    def _keep(self, session: PortalSession) -> None:
        text = msgspec.json.encode({"auth_token": session.auth_token, "key": session.key}).decode()
        with self._database.session(self._tenant_id) as store:
            gst_sessions.opened(store, self._connection_id, text, expires_at=session.expires_at, cipher=self._cipher)


def _read(text: str, expires_at: datetime) -> PortalSession:
    found = msgspec.json.decode(text, type=dict[str, str])
    return PortalSession(found["auth_token"], found["key"], expires_at)
