"""MSG91: sends SMS (Flow) and WhatsApp templates. Its oddities: docs/systems/msg91.md."""

from __future__ import annotations

from typing import ClassVar, Final
from urllib.parse import quote

import requests
from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer, Judge
from erpflow.connectors.base import CheckResult, ConnectorSpec, Limits, reported
from erpflow.connectors.messaging import PATIENCE, WHILE_SOMEBODY_WAITS, Taken
from erpflow.connectors.msg91_errors import judge_balance, judge_flow, judge_whatsapp, read
from erpflow.connectors.msg91_messages import Sms, WhatsApp, bare
from erpflow.connectors.redaction import MASK
from erpflow.connectors.service import Service
from erpflow.connectors.signing import header_safe
from erpflow.connectors.transport import ONE_ATTEMPT
from erpflow.errors import ConfigError

_JSON: Final = {"Content-Type": "application/json"}


class AuthKeyAuth(AuthBase):
    """`authkey: <key>`, in small letters; and what a connection says of who sends."""

    def __init__(self, account: Account) -> None:
        """Raises ConfigError for a key that no header can carry."""
        self.key = header_safe(account.password, what="auth key", spaces="")
        self.sender, self.integrated_number, self.namespace = (
            str(account.extra.get(name) or "").strip() or None for name in ("sender", "integrated_number", "namespace")
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self.key,) if self.key else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.key:
            request.headers["authkey"] = self.key
        return request

    def __repr__(self) -> str:
        return f"AuthKeyAuth({MASK})"


class Msg91(Service):
    """One account of MSG91."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="msg91",
        title="MSG91",
        auth=("api_key",),
        entities={},
        limits=Limits(per_second=50.0, concurrent=8),  # no published number; ours
        settings={
            "sender": "The DLT header of six letters, for templates that take their sender from the API.",
            "integrated_number": "The WhatsApp number that sends, with its country code, such as 919811111111.",
            "namespace": "The namespace of the WhatsApp templates, where the account has one.",
        },
        credentials=frozenset({"password"}),
        timeouts=PATIENCE,
    )

    @classmethod
    def auth(cls, account: Account) -> AuthKeyAuth:
        return AuthKeyAuth(account)

    @classmethod
    def counted_as(cls, account: Account) -> str | None:
        return None  # the key is the whole login: two connections cannot be known to be one account

    @reported
    def check(self) -> CheckResult:
        """Asks for the templates of the WhatsApp number where there is one, otherwise for the balance."""
        number = self._own.integrated_number
        answer = self._templates(number) if number else self._balance()
        said = (
            f"WhatsApp can be sent from {bare(number)}" if number else f"the balance is {answer.body.decode().strip()}"
        )
        return CheckResult(success=True, message=f"The auth key is good; {said}.")

    def send_sms(self, sms: Sms, *, reference: str) -> Taken:
        """Hand an SMS over; `reference` comes back in its reports. It is sent again only if it cannot have been taken.

        Raises MessageRejected for what MSG91 refuses of it, and what `Transport.request` raises.
        """
        body = sms.compose(sender=self._own.sender, reference=reference)
        said = self._post("/api/v5/flow", body, judge_flow)
        # `message` is the id of a success and the text of a refusal.
        return Taken(str(said.get("request_id") or said.get("message") or "") or None)

    def send_whatsapp(self, message: WhatsApp) -> Taken:
        """Hand a WhatsApp template over. Raises as `send_sms`, and ConfigError when no number is named that sends."""
        number = self._own.integrated_number
        if number is None:
            raise ConfigError(
                "No WhatsApp number is named that sends. Set integrated_number in the connection to MSG91."
            )
        body = message.compose(integrated_number=bare(number), namespace=self._own.namespace)
        said = self._post("/api/v5/whatsapp/whatsapp-outbound-message/bulk/", body, judge_whatsapp)
        return Taken(str(said.get("request_id") or "") or None)

    def _post(self, path: str, body: bytes, judge: Judge) -> dict[str, object]:
        answer = self._transport.request(
            "POST", path, body=body, headers=_JSON, judge=judge, retries=WHILE_SOMEBODY_WAITS
        )
        return read(answer.body) or {}

    def _templates(self, number: str) -> Answer:
        path = f"/api/v5/whatsapp/get-template-client/{quote(bare(number), safe='')}"
        return self._transport.request("GET", path, judge=judge_whatsapp, retries=ONE_ATTEMPT)

    def _balance(self) -> Answer:
        # The one call that only knows the key in the query: it is never logged, and masked where a library would.
        query = {"authkey": self._own.key, "type": "4"}
        return self._transport.request("GET", "/api/balance.php", query=query, judge=judge_balance, retries=ONE_ATTEMPT)

    @property
    def _own(self) -> AuthKeyAuth:
        auth = self._transport.auth
        return auth if isinstance(auth, AuthKeyAuth) else AuthKeyAuth(Account(self._transport.base_url))
