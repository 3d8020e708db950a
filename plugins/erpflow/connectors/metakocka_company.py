"""One company at Metakocka, as the modules of its connector see it: questions and commands, all of them POSTs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from erpflow.connectors.answer import Answer, Judge
from erpflow.connectors.metakocka_errors import judge, judge_write
from erpflow.connectors.metakocka_wire import Members, encode, members_of, rows_of, text_of
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import ProtocolError, VendorUnavailable

PREFIX: Final = "/rest/eshop/v1"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What Metakocka answered to one call, its members undecoded and without any secret of ours."""

    answer: Answer
    body: bytes
    members: Members

    def rows(self, name: str) -> list[bytes]:
        """A list of objects, undecoded; empty where there is none."""
        return rows_of(self.members, name)

    def text(self, name: str) -> str:
        """A scalar as text; empty where there is none."""
        return text_of(self.members, name)

    def inner(self, name: str, member: str) -> str:
        """A scalar of an object as text; empty where there is none."""
        rows = self.rows(name)
        return text_of(members_of(rows[0], what=name), member) if rows else ""

    @property
    def server_time(self) -> datetime | None:
        """Metakocka's clock as it answered."""
        return self.answer.server_time


class Company:
    """The calls of one company over its transport. The key is added by the transport's signature, never here."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def host(self) -> str:
        return self._transport.host

    def ask(self, call: str, parameters: Mapping[str, Any], *, retries: Retries | None = None) -> Reply:
        """A question: it changes nothing, so it may be asked again.

        Raises `metakocka_errors.Refused` for what Metakocka will not answer, and whatever else the transport raises;
        among writes none of it says that anything may be done.
        """
        try:
            return self._send(call, parameters, judge=judge, idempotent=True, retries=retries)
        except (VendorUnavailable, ProtocolError) as error:
            error.maybe_done = False
            raise

    def tell(self, call: str, parameters: Mapping[str, Any]) -> Reply:
        """A command: it is sent again only when it cannot have been carried out.

        Raises RecordRejected for a refusal, and ProtocolError for an answer that does not tell what became of it.
        """
        return self._send(call, parameters, judge=judge_write, idempotent=False)

    def _send(
        self,
        call: str,
        parameters: Mapping[str, Any],
        *,
        judge: Judge,
        idempotent: bool,
        retries: Retries | None = None,
    ) -> Reply:
        answer = self._transport.request(
            "POST",
            f"{PREFIX}/{call}",
            body=encode(parameters),
            headers=_JSON,
            judge=judge,
            idempotent=idempotent,
            retries=retries,
        )
        body = self._transport.without_secrets(answer.body)  # heads echo their request
        return Reply(answer, body, members_of(body, what=f"Metakocka's answer to {call}"))
