"""What a notification of Zoho's says: one module, one operation, and any number of ids.

It carries no signature, only the channel's token, inside the body. No record and no Modified_Time come along.
Source: docs/api/v8/notifications/overview. Insert, update and delete were observed; its AsyncAPI file says create and
edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from erpflow.connectors.change_notice import ChangeNotice, instant_of, object_of, part_of, rows_of, text_of

TOKEN_FIELD: Final = "token"  # noqa: S105  (the name of the field, not what it holds)


def notices(body: bytes, _headers: Mapping[str, str]) -> list[ChangeNotice]:
    """A change for each id. Raises PayloadInvalid for a body that is no object."""
    found = object_of(body)
    module, operation, channel = (text_of(found.get(key)) for key in ("module", "operation", "channel_id"))
    sent = found.get("server_time")
    at = instant_of(sent, per_second=1000)
    ids = dict.fromkeys(text_of(each) for each in rows_of(found.get("ids")))
    if not ids:
        return [ChangeNotice(remote=module, event_type=operation, at=at, account=channel, problem="It has no ids.")]
    return [
        ChangeNotice(
            remote=module,
            remote_id=remote_id,
            event_type=operation,
            at=at,
            key=f"{channel}/{module}/{operation}/{remote_id}/{sent}" if at and remote_id else None,
            account=channel,
            part=part_of(
                {"module": module, "operation": operation, "id": remote_id, "server_time": sent if at else None}
            ),
            problem=None if remote_id else "One of its ids is none.",
        )
        for remote_id in ids
    ]
