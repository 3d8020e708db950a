"""What a webhook of Intuit's says, in either of its forms, and whether it is Intuit's at all.

The older form is an object with `eventNotifications`, the newer one a list of CloudEvents; the signature is the same.
Only what changed is told, never how: a record is read again before it is used. Events come late, twice, out of order.
Source: Intuit, "Webhooks: best practices" and its announcement of the new payload. The words merged and emailed are
UNVERIFIED.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import excerpt
from erpflow.connectors.change_notice import ChangeNotice, part_of
from erpflow.connectors.quickbooks_query import to_instant
from erpflow.errors import PayloadInvalid, ProtocolError

SIGNATURE_HEADER: Final = "intuit-signature"
_OPERATIONS: Final[Mapping[str, str]] = {
    "create": "create",
    "created": "create",
    "update": "update",
    "updated": "update",
    "delete": "delete",
    "deleted": "delete",
    "void": "update",  # a voided document is still there
    "voided": "update",
    "merge": "update",
    "merged": "update",
    "emailed": "update",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One change. `remote` is the vendor's entity in small letters (`salesreceipt`), `operation` one of create, update
    and delete, `at` in UTC where the vendor says when. `key` is the same whenever the same event comes again.
    """

    realm: str
    remote: str
    remote_id: str
    operation: str
    at: datetime | None
    key: str


def is_signed(body: bytes, signature: str, verifier_token: str) -> bool:
    """Whether the body came from who knows the verifier token: HMAC-SHA256 of its very bytes, in Base64."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(verifier_token.encode(), body, hashlib.sha256).digest(), given)


def notices(body: bytes) -> list[Notice]:
    """The changes that a webhook tells of; a record that was merged into another one is a delete of its own.

    Raises ProtocolError for a body in neither form. An event that says nothing of a record is left out.
    """
    try:
        found = msgspec.json.decode(body)
        if isinstance(found, list):
            return [notice for event in found for notice in _of_cloud_event(event)]
        return [notice for each in found["eventNotifications"] for notice in _of_notification(each)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(
            f"The webhook is neither a list of CloudEvents nor event notifications ({type(error).__name__}). "
            f"It begins: {excerpt(body)}"
        ) from None


def change_notices(body: bytes, _headers: Mapping[str, str]) -> list[ChangeNotice]:
    """The same as `notices`, in the words that all vendors' webhooks are told in. Raises PayloadInvalid."""
    try:
        found = notices(body)
    except ProtocolError as error:
        raise PayloadInvalid(str(error)) from None
    return [
        ChangeNotice(
            remote=each.remote,
            remote_id=each.remote_id,
            event_type=f"{each.remote}.{each.operation}",
            at=each.at,
            key=each.key,
            account=each.realm,
            part=part_of({"realm": each.realm, "entity": each.remote, "id": each.remote_id, "do": each.operation}),
        )
        for each in found
    ]


def _of_notification(notification: Mapping[str, Any]) -> Iterator[Notice]:
    realm = str(notification["realmId"])
    for entity in (notification.get("dataChangeEvent") or {}).get("entities", ()):
        name, remote_id, word = str(entity["name"]).lower(), str(entity["id"]), str(entity["operation"]).lower()
        at, when = to_instant(str(entity.get("lastUpdated"))), entity.get("lastUpdated")
        if word in _OPERATIONS:
            key = f"{realm}/{name}/{remote_id}/{word}/{when}"
            yield Notice(realm, name, remote_id, _OPERATIONS[word], at, key)
        if entity.get("deletedId"):
            gone = str(entity["deletedId"])
            yield Notice(realm, name, gone, "delete", at, f"{realm}/{name}/{gone}/{word}/{when}")


def _of_cloud_event(event: Mapping[str, Any]) -> Iterator[Notice]:
    """`qbo.<entity>.<operation>.v1`; the company is `intuitaccountid`."""
    parts = str(event["type"]).lower().split(".")
    if len(parts) != 4 or parts[0] != "qbo" or parts[2] not in _OPERATIONS:
        return
    realm, remote_id = str(event["intuitaccountid"]), str(event["intuitentityid"])
    at = to_instant(str(event.get("time")))
    yield Notice(realm, parts[1], remote_id, _OPERATIONS[parts[2]], at, str(event["id"]))
    gone = (event.get("data") or {}).get("deletedId")
    if gone:
        yield Notice(realm, parts[1], str(gone), "delete", at, f"{event['id']}/{gone}")
