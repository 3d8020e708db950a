"""Notifications: channels with an expiry, and the callbacks that Zoho would send.

Source: docs notifications/enable (v8). The sandbox sends nothing: the side door shows what would be sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from sandbox.zoho_crm.answers import ZohoError, answer, error_of, nothing
from sandbox.zoho_crm.clock import instant_of
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.render import module_of
from sandbox.zoho_crm.schema import Module

HOUR_S: Final = 3_600
LONGEST_S: Final = 7 * 86_400
LONGEST_TOKEN: Final = 50
EVENTS: Final = {"insert": "create", "update": "edit", "delete": "delete"}
API: Final = "https://www.zohoapis.com/crm/v8/"


def enable(org: Org, body: Any, *, replacing: bool) -> Response:
    """`POST /actions/watch` makes channels, `PUT` replaces them."""
    rows = [_enabled(org, given, replacing=replacing) for given in _watches(body)]
    return answer({"watch": rows}, status=200 if replacing else 201)


def change(org: Org, body: Any) -> Response:
    """`PATCH /actions/watch`: events go (`_delete_events`), or come and get a new expiry."""
    rows = []
    for given in _watches(body):
        channel = org.channels.get(str(given.get("channel_id")))
        if channel is None:
            rows.append(_not_subscribed(given.get("channel_id")))
            continue
        events = [str(event) for event in given.get("events") or []]
        if given.get("_delete_events"):
            channel["events"] = [event for event in channel["events"] if event not in events]
        else:
            channel["events"] = list(dict.fromkeys([*channel["events"], *events]))
            channel["expires"] = _expiry(org, given)
        rows.append(_subscribed(org, channel))
    return answer({"watch": rows})


def show(org: Org, query: Mapping[str, str]) -> Response:
    """`GET /actions/watch`: the channels that live, one row for each module."""
    wanted = query.get("channel_id")
    found = [
        channel
        for channel in org.channels.values()
        if channel["expires"] > org.clock.now() and wanted in (None, channel["channel_id"])
    ]
    if not found:
        return nothing()
    info = {"page": 1, "per_page": 200, "count": len(found), "more_records": False}
    return answer({"watch": [_described(org, channel) for channel in found], "info": info})


def disable(org: Org, query: Mapping[str, str]) -> Response:
    """`DELETE /actions/watch?channel_ids=`."""
    rows = []
    for channel_id in filter(None, query.get("channel_ids", "").split(",")):
        if org.channels.pop(channel_id, None) is None:
            rows.append(_not_subscribed(channel_id))
        else:
            said = "Successfully un-subscribed from actions-watch of the given module"
            rows.append({"code": "SUCCESS", "details": {}, "message": said, "status": "success"})
    if not rows:
        raise ZohoError(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", param="channel_ids")
    return answer({"watch": rows})


def notify(org: Org, module: Module, operation: str, ids: Sequence[str]) -> None:
    """Keep what Zoho would send: one callback with all ids for each channel that listens and lives."""
    if not ids:
        return
    wanted = {f"{module.name}.{EVENTS[operation]}", f"{module.name}.all"}
    for channel in org.channels.values():
        if channel["expires"] > org.clock.now() and wanted.intersection(channel["events"]):
            org.callbacks.append(
                {
                    "notify_url": channel["notify_url"],
                    "body": {
                        "server_time": org.clock.now() * 1000,
                        "query_params": {},
                        "module": module.name,
                        "resource_uri": f"{API}{module.name}",
                        "ids": list(ids),
                        "operation": operation,
                        "channel_id": channel["channel_id"],
                        "token": channel["token"],
                    },
                }
            )


def _watches(body: Any) -> list[dict[str, Any]]:
    given = body.get("watch") if isinstance(body, dict) else None
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise ZohoError(400, "MANDATORY_NOT_FOUND", "required field not found", api_name="watch")
    return given


def _enabled(org: Org, given: dict[str, Any], *, replacing: bool) -> dict[str, Any]:
    channel_id, events = str(given.get("channel_id", "")), [str(event) for event in given.get("events") or []]
    if not channel_id.isdigit() or not given.get("notify_url") or not events:
        missing = next((name for name in ("channel_id", "notify_url", "events") if not given.get(name)), "channel_id")
        return error_of("MANDATORY_NOT_FOUND", "required field not found", api_name=missing)
    for event in events:
        name, _, what = event.partition(".")
        if module_of(org, name) is None or what not in ("all", "create", "edit", "delete"):
            return error_of("INVALID_DATA", "invalid data", api_name="events")
    if len(str(given.get("token") or "")) > LONGEST_TOKEN:
        return error_of("INVALID_DATA", "invalid data", api_name="token", maximum_length=LONGEST_TOKEN)
    if replacing and channel_id not in org.channels:
        return _not_subscribed(channel_id)
    channel = {
        "channel_id": channel_id,
        "events": events,
        "notify_url": str(given["notify_url"]),
        "token": given.get("token"),
        "expires": _expiry(org, given),
    }
    org.channels[channel_id] = channel
    return _subscribed(org, channel)


def _expiry(org: Org, given: Mapping[str, Any]) -> int:
    """An hour unless told; what is longer than a week falls back to an hour (UNVERIFIED for v8)."""
    now = org.clock.now()
    wanted = instant_of(str(given.get("channel_expiry") or ""))
    return wanted if wanted is not None and now < wanted <= now + LONGEST_S else now + HOUR_S


def _subscribed(org: Org, channel: Mapping[str, Any]) -> dict[str, Any]:
    said = "Successfully subscribed for actions-watch of the given module"
    modules = dict.fromkeys(event.partition(".")[0] for event in channel["events"])
    events = [
        {
            "channel_expiry": org.clock.text(channel["expires"]),
            "resource_uri": f"{API}{module}",
            "resource_id": str(1_000_000_000_000 + place),
            "resource_name": module,
            "channel_id": channel["channel_id"],
        }
        for place, module in enumerate(modules)
    ]
    return {"code": "SUCCESS", "details": {"events": events}, "message": said, "status": "success"}


def _described(org: Org, channel: Mapping[str, Any]) -> dict[str, Any]:
    module = channel["events"][0].partition(".")[0] if channel["events"] else ""
    return {
        "channel_id": channel["channel_id"],
        "events": channel["events"],
        "channel_expiry": org.clock.text(channel["expires"]),
        "notify_url": channel["notify_url"],
        "token": channel["token"],
        "resource_uri": f"{API}{module}",
        "resource_name": module,
        "notify_on_related_action": False,
        "return_affected_field_values": False,
    }


def _not_subscribed(channel_id: Any) -> dict[str, Any]:
    return error_of("NOT_SUBSCRIBED", "The channel is not subscribed", channel_id=str(channel_id))
