"""Plans, and the life of subscriptions. Source: the sheet, §8."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox.razorpay import checks
from sandbox.razorpay.answers import Refusal
from sandbox.razorpay.state import Account, Book

PERIODS = {"daily": 1, "weekly": 7, "monthly": 30, "quarterly": 91, "yearly": 365}
LEAST_DAYS = 7
PLAN_FIELDS = {"period", "interval", "item", "notes"}
FIELDS = {
    "plan_id", "total_count", "quantity", "start_at", "expire_by", "customer_notify", "addons", "offer_id", "notes",
    "notify_info",
}  # fmt: skip
FINAL = ("cancelled", "completed", "expired")
CANCELLABLE = ("created", "authenticated", "active", "pending", "halted", "paused")


def make_plan(account: Account, book: Book, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refusal."""
    checks.only(given, PLAN_FIELDS)
    if given.get("period") not in PERIODS:
        raise Refusal("The selected period is invalid.", field="period")
    interval = checks.whole(given, "interval")
    if given["period"] == "daily" and interval < LEAST_DAYS:
        raise Refusal(f"For daily plans, the interval must be at least {LEAST_DAYS}.", field="interval")
    now = account.time()
    item = {
        "id": account.new_id("item"), "active": True, **checks.item(given.get("item")), "type": "plan", "unit": None,
        "tax_inclusive": False, "hsn_code": None, "sac_code": None, "tax_rate": None, "tax_id": None,
        "tax_group_id": None, "created_at": now, "updated_at": now,
    }  # fmt: skip
    plan = {
        "id": account.new_id("plan"), "entity": "plan", "interval": interval, "period": given["period"], "item": item,
        "notes": checks.notes(given), "created_at": now,
    }  # fmt: skip
    book.plans[plan["id"]] = plan
    return plan


def subscribe(account: Account, book: Book, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refusal."""
    checks.only(given, FIELDS)
    checks.text(given, "plan_id")
    plan = checks.known(book.plans, given.get("plan_id"))
    total, quantity = checks.whole(given, "total_count"), checks.whole(given, "quantity", default=1)
    now = account.time()
    start, expire = checks.later(given, "start_at", now=now), checks.later(given, "expire_by", now=now)
    _check_extras(given)
    days = PERIODS[plan["period"]] * plan["interval"] * total
    made = {
        "id": account.new_id("sub"), "entity": "subscription", "plan_id": plan["id"], "customer_id": None,
        "status": "created", "current_start": None, "current_end": None, "ended_at": None, "quantity": quantity,
        "notes": checks.notes(given), "charge_at": start, "start_at": start,
        "end_at": None if start is None else start + int(timedelta(days=days).total_seconds()), "auth_attempts": 0,
        "total_count": total, "paid_count": 0, "customer_notify": checks.yes(given, "customer_notify", default=True),
        "created_at": now, "expire_by": expire, "short_url": f"https://rzp.io/i/{account.new_id('s')[2:9]}",
        "has_scheduled_changes": False, "change_scheduled_at": None, "source": "api",
        "offer_id": given.get("offer_id"), "remaining_count": total,
    }  # fmt: skip
    book.subscriptions[made["id"]] = made
    return made


def _check_extras(given: Mapping[str, Any]) -> None:
    addons = given.get("addons") or []
    if not isinstance(addons, list):
        raise Refusal("The addons must be an array.", field="addons")
    for number, addon in enumerate(addons):
        if not isinstance(addon, dict):
            raise Refusal(f"The addons.{number} must be an array.", field="addons")
        checks.only(addon, {"item"}, inside=f"addons.{number}.")
        checks.item(addon.get("item"), inside=f"addons.{number}.item.")
    offer = given.get("offer_id")
    if offer is not None and not (isinstance(offer, str) and offer.startswith("offer_")):
        raise Refusal("The id provided does not exist")
    whom = given.get("notify_info")
    if whom is not None:
        if not isinstance(whom, dict):
            raise Refusal("The notify info must be an array.", field="notify_info")
        checks.only(whom, {"notify_phone", "notify_email"}, inside="notify_info.")


def cancel(account: Account, book: Book, id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """At once, or at the end of the cycle that is paid for. Raises Refusal."""
    checks.only(given, {"cancel_at_cycle_end"})
    found = checks.known(book.subscriptions, id_)
    if found["status"] not in CANCELLABLE:
        raise Refusal(f"Subscription is not cancellable in {found['status']} status.")
    if checks.yes(given, "cancel_at_cycle_end", default=False) and found["status"] == "active":
        found["has_scheduled_changes"], found["change_scheduled_at"] = True, found["current_end"]
        return found
    return _end(account, found, "cancelled")


def pause(account: Account, book: Book, id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Pausing one that is not active yet cancels it. Raises Refusal."""
    checks.only(given, {"pause_at"})
    found = checks.known(book.subscriptions, id_)
    if found["status"] == "authenticated":
        return _end(account, found, "cancelled")
    if found["status"] != "active":  # the words are UNVERIFIED
        raise Refusal(f"Subscription cannot be paused in {found['status']} status.")
    found |= {"status": "paused", "paused_at": account.time(), "pause_initiated_by": "self"}
    return found


def resume(book: Book, id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refusal."""
    checks.only(given, {"resume_at"})
    found = checks.known(book.subscriptions, id_)
    if found["status"] != "paused":  # the words are UNVERIFIED
        raise Refusal(f"Subscription cannot be resumed in {found['status']} status.")
    found["status"] = "active"
    del found["paused_at"], found["pause_initiated_by"]
    return found


def _end(account: Account, found: dict[str, Any], status: str) -> dict[str, Any]:
    found |= {"status": status, "ended_at": account.time(), "charge_at": None}
    return found
