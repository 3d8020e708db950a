"""Twilio SendGrid: sends mail. Its oddities: docs/systems/sendgrid.md."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.base import CheckResult, ConnectorSpec, Limits, reported
from erpflow.connectors.messaging import PATIENCE, WHILE_SOMEBODY_WAITS, Taken
from erpflow.connectors.sendgrid_errors import judge
from erpflow.connectors.sendgrid_mail import Address, Mail
from erpflow.connectors.service import Service
from erpflow.connectors.signing import BearerAuth
from erpflow.connectors.transport import ONE_ATTEMPT
from erpflow.errors import ConfigError, ErpflowError, ProtocolError

SEND: Final = "mail.send"
_JSON: Final = {"Content-Type": "application/json"}


class _Scopes(msgspec.Struct):
    scopes: list[str]


_SCOPES: Final = msgspec.json.Decoder(_Scopes)


class SenderAuth(BearerAuth):
    """The API key, and who sends where a mail does not say."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.password)
        email, name = (str(account.extra.get(each) or "").strip() for each in ("from_email", "from_name"))
        self.sender = Address(email, name or None) if email else None


class SendGrid(Service):
    """One account (or subuser) of SendGrid."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="sendgrid",
        title="SendGrid",
        auth=("api_key",),
        entities={},
        # The vendor's ceiling of mail/send is 10,000 a second; this is a polite one of ours.
        limits=Limits(per_second=50.0, concurrent=8),
        settings={
            "from_email": "Who sends where a mail does not say; an address or a domain that is verified at SendGrid.",
            "from_name": "The name that goes with it.",
        },
        credentials=frozenset({"password"}),
        timeouts=PATIENCE,
    )

    @classmethod
    def auth(cls, account: Account) -> SenderAuth:
        return SenderAuth(account)

    @classmethod
    def counted_as(cls, account: Account) -> str | None:
        return None  # the key is the whole login: two connections cannot be known to be one account

    @reported
    def check(self) -> CheckResult:
        """Asks for the scopes of the key. Source: Twilio, "Retrieve a list of scopes"."""
        answer = self._transport.request("GET", "/v3/scopes", judge=judge, retries=ONE_ATTEMPT)
        scopes = _scopes(answer)
        if SEND not in scopes:
            message = (
                f"The API key is good and may not send: give it the scope {SEND} at SendGrid (Settings → API Keys)."
            )
            return CheckResult(success=False, message=message)
        return CheckResult(success=True, message="The API key is good and may send.")

    def send(self, mail: Mail, *, reference: str) -> Taken:
        """Hand a mail over; `reference` comes back in its events. It is sent again only when it cannot have been taken.

        202 means queued: an address that is suppressed is taken, too, and dropped. Raises MessageRejected for what
        SendGrid refuses of it, ConfigError when nobody is named who sends, and what `Transport.request` raises.
        """
        sender = mail.sender or self._sender
        if sender is None:
            raise ConfigError(
                "Nobody is named who sends. Give `from`, or set from_email in the connection to SendGrid."
            )
        answer = self._transport.request(
            "POST",
            "/v3/mail/send",
            body=mail.compose(sender=sender, reference=reference),
            headers=_JSON,
            judge=_judge_taken,
            retries=WHILE_SOMEBODY_WAITS,
        )
        return Taken(answer.headers.get("X-Message-Id") or None)

    @property
    def _sender(self) -> Address | None:
        auth = self._transport.auth
        return auth.sender if isinstance(auth, SenderAuth) else None


def _judge_taken(answer: Answer) -> ErpflowError | None:
    """Only 202 says that a mail was taken: a page of a proxy with 200 says nothing."""
    if 200 <= answer.status < 300 and answer.status != 202:
        return ProtocolError(
            f"SendGrid answered {answer.method} {answer.path} with HTTP {answer.status} where 202 was expected.",
            maybe_done=True,
        )
    return judge(answer)


def _scopes(answer: Answer) -> list[str]:
    try:
        return _SCOPES.decode(answer.body).scopes
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ProtocolError("What answers at the connection's host is not SendGrid's API. Check the host.") from None
