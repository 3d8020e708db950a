"""`erpflow connection limits`: what a vendor's account allows, what was used of it, and lower limits of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import echo_table, printable
from erpflow.services.installation import database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from erpflow.connectors.base import Limits
    from erpflow.store.limit_usage import LimitUsage, Span

DEFAULT = "default"
_TITLES: Mapping[Span, str] = {
    "per_second": "second",
    "per_minute": "minute",
    "per_hour": "hour",
    "per_day": "day",
    "concurrent": "at once",
}


def _limit(span: Span) -> click.Option:
    words = "Requests at the same time" if span == "concurrent" else f"Requests a {_TITLES[span]}"
    return click.Option([f"--{span.replace('_', '-')}"], metavar="N", help=f"{words}; `{DEFAULT}`: the system's own.")


def limits(name: str, **wanted: str | None) -> None:
    """Show what the account NAME may ask its vendor and has asked; with options, set lower limits of its own.

    They hold for this connection, from its next request on, whichever worker sends it. What the vendor counts together
    is shown together: other connections to the same account use it up too.
    """
    from erpflow.connectors.registry import connector_class
    from erpflow.store import connections
    from erpflow.store.limit_usage import SPANS, limit_usage, set_limits

    with database().transaction() as store:
        row = connections.get_connection(store, name)
        sheet = connector_class(row.system).spec.limits
        given: dict[Span, str] = {span: text for span in SPANS if (text := wanted[span]) is not None}
        set_limits(store, row.id, {span: _number(span, text, sheet) for span, text in given.items()})
        found = limit_usage(store, row.id)
    echo_table([("SPAN", "ALLOWED", "OF ITS OWN", "USED"), *(_line(span, sheet, found) for span in SPANS)])
    _tell(found)


limits_command = click.Command(
    "limits",
    callback=limits,
    help=limits.__doc__,
    params=[click.Argument(["name"]), *map(_limit, _TITLES)],
)


def _number(span: Span, text: str, sheet: Limits) -> float | None:
    """Raises ConfigError when it is no number of requests, or more than the system's data sheet allows."""
    from erpflow.errors import ConfigError
    from erpflow.services.limiting import check_limit

    if text == DEFAULT:
        return None
    option = f"--{span.replace('_', '-')}"
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(
            f'{option} is "{printable(text)}". Give a number above 0, or "{DEFAULT}" for the system\'s own limit.'
        ) from None
    check_limit(span, number, sheet, called=option)
    return number


def _line(span: Span, sheet: Limits, found: LimitUsage) -> list[str]:
    allowed, own = getattr(sheet, span), found.own.get(span)
    used = sum(worker.requests for worker in found.under_way) if span == "concurrent" else found.used.get(span, 0.0)
    shown = [f"{number:g}" if number is not None else "-" for number in (allowed, own)]
    return [_TITLES[span], *shown, f"{used:g}"]


def _tell(found: LimitUsage) -> None:
    if found.paused_until is not None:
        click.echo(f"Paused until {found.paused_until:%Y-%m-%d %H:%M:%S}Z: the vendor asked for it.")
    for worker in found.under_way:
        requests = "1 request" if worker.requests == 1 else f"{worker.requests} requests"
        click.echo(f"Under way: {requests} of a worker on {worker.place}, there since {worker.since:%Y-%m-%d %H:%MZ}.")
    others = [*found.shared_with, *([f"{found.other_tenants} of other tenants"] if found.other_tenants else [])]
    if others:
        click.echo(f"The vendor counts the same account for {', '.join(others)}.")
    click.echo(f"{found.total:,} requests were let through in all.")
