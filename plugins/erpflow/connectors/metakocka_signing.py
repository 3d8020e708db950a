"""How Metakocka's requests are signed: with a secret key inside the JSON body of every call, reads included.

Source: metakocka/metakocka_api_base, docs/documents_concept.md, "Document Head".
"""

from __future__ import annotations

import json

import requests
from requests.auth import AuthBase

from erpflow.connectors.redaction import MASK
from erpflow.connectors.signing import header_safe
from erpflow.errors import AuthFailed, ConfigError


class CompanyAuth(AuthBase):
    """Puts `secret_key` and `company_id` in front of the members of a JSON body.

    Nothing is ever written to the caller's body, so neither a log nor a landed page of ours can hold the key.
    """

    def __init__(self, company_id: str | None = None, secret_key: str | None = None) -> None:
        self._company_id = header_safe(company_id, what="company ID", spaces="")
        self._secret_key = header_safe(secret_key, what="secret key", spaces="")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody, also as JSON spells it: the transport masks it."""
        spellings = (self._secret_key, json.dumps(self._secret_key)[1:-1])
        return tuple(dict.fromkeys(spellings)) if self._secret_key else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not (self._company_id and self._secret_key):
            missing = "secret key" if self._company_id else "company ID"
            raise AuthFailed(
                f"The connection has no {missing}, so nothing was sent. Copy the company ID into its login and the "
                "secret key into its password; Metakocka shows both under Settings, API."
            )
        body = request.body or b"{}"
        if not isinstance(body, bytes) or not body.startswith(b"{"):
            raise ConfigError("A request to Metakocka is a JSON object; this one is none and cannot be signed.")
        signature = json.dumps({"secret_key": self._secret_key, "company_id": self._company_id}).encode()
        rest = body[1:]
        request.body = signature[:-1] + (b"," if rest.strip() != b"}" else b"") + rest
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompanyAuth) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self._company_id, self._secret_key))

    def __repr__(self) -> str:
        return f"CompanyAuth({MASK})"
