"""Sends the requests of a declaration: its templates filled, its rules applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.connectors.rest.answers import READING, Purpose, judge
from erpflow.connectors.rest.expressions import decoded, encode, rows_at, search
from erpflow.connectors.rest.fill import Values, filled, filled_path, filled_texts, placeholders
from erpflow.connectors.rest.model import Declaration, Request
from erpflow.connectors.rest.signing import DeclaredAuth
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import AuthFailed, ProtocolError

KEY = "idempotency_key"


class Asking:
    """A declared system that can be asked."""

    def __init__(self, transport: Transport, declaration: Declaration) -> None:
        self.transport = transport
        self.declaration = declaration
        self._auth = transport.auth if isinstance(transport.auth, DeclaredAuth) else None
        if self._auth is not None:
            self._auth.bind(self._log_in)

    def ask(
        self,
        request: Request,
        values: Values,
        *,
        purpose: Purpose = READING,
        retries: Retries | None = None,
        path: str | None = None,
    ) -> Answer:
        """Send a request and give back the answer that is one; `path` (with its query) in place of the request's own.

        Raises what an answer means (answers.py), what the transport raises, and NoSuchNumber.
        """
        if self._auth is not None:
            self._auth.sign_in()
        body = filled(request.body, values)
        headers = filled_texts(request.headers, values)
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        return self.transport.request(
            request.method,
            path or filled_path(request.path, values),
            query=None if path else filled_texts(request.query, values) or None,
            body=None if body is None else encode(body),
            headers=headers,
            judge=judge(self.declaration.errors, purpose),
            idempotent=_repeatable(request, purpose),
            retries=retries,
        )

    def rows(self, answer: Answer, expression: str) -> list[RawRecord]:
        """The records of an answer. Raises ProtocolError when it holds none."""
        body = self.transport.without_secrets(answer.body)  # some APIs echo the request
        return rows_at(expression, body, what=f"The answer to {answer.method} {answer.path}")

    def data(self, answer: Answer, *, maybe_done: bool = False) -> Any:
        """An answer's JSON; None for an empty one. Raises ProtocolError for what is no JSON."""
        try:
            return decoded(answer.body)
        except msgspec.DecodeError as error:
            raise ProtocolError(
                f"The answer to {answer.method} {answer.path} is not JSON ({error}). It begins: {excerpt(answer.body)}",
                maybe_done=maybe_done,
            ) from None

    def _log_in(self) -> Mapping[str, Any]:
        auth = self.declaration.auth
        assert auth.login is not None and self._auth is not None  # noqa: S101  (the declaration's checks)
        answer = self.ask(auth.login, self._auth.values, purpose=READING)
        data = self.data(answer)
        found = {name: search(expression, data) for name, expression in auth.take.items()}
        missing = sorted(name for name, value in found.items() if value in (None, False, ""))
        if missing:
            raise AuthFailed(
                f"The login at {self.transport.host} was answered without {', '.join(missing)}: the login or the "
                "secret is refused. Check the connection's fields."
            )
        return found


def _repeatable(request: Request, purpose: Purpose) -> bool | None:
    """A request that only reads may be sent again whatever its method; a write when it carries its key."""
    if not purpose.writes:
        return True
    carries = [template for _, template in request.templates()]
    return True if KEY in placeholders(carries) else None
