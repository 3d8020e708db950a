"""`erpflow subscription`: which programs are told by webhook of what happens."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import echo_table, printable
from erpflow.services.installation import database, home
from erpflow.vocabulary import DEFAULT_TENANT, EventType, SubscriptionId

if TYPE_CHECKING:
    from erpflow.store.subscriptions import Subscription
    from erpflow.store.vault import Secret

EVENTS = ", ".join(event.value for event in EventType)


@click.group()
def subscription() -> None:
    """Programs that are told by webhook of what happens."""


@subscription.command()
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, metavar="EVENT", help=f"Of what; repeatable. Default: all ({EVENTS})."
)
@click.option("--description", default="", help="What the program is, for people.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input instead of making one.")
def add(url: str, *, events: tuple[str, ...], description: str, secret_stdin: bool) -> None:
    """Tell the program at URL of what happens from now on.

    Its secret, by which it knows that a message is ours, is printed once and kept encrypted.
    """
    from erpflow.services.outgoing.subscribing import subscribe
    from erpflow.store.cipher import Cipher

    with database().session() as store:
        row, secret = subscribe(
            store,
            url,
            events=events or tuple(event.value for event in EventType),
            cipher=Cipher.from_environment(home()),
            tenant_id=DEFAULT_TENANT,
            description=description,
            secret=_given(from_stdin=secret_stdin),
        )
    click.echo(f"Added {row.id}; it is told of {', '.join(row.events)}.")
    _show_secret(secret, brought=secret_stdin)
    click.echo("Messages leave with the DAG erpflow__outgoing, or: erpflow delivery send")


@subscription.command("list")
def list_() -> None:
    """List the programs that are told, of what, and how that goes."""
    from erpflow.store import subscriptions

    with database().session() as store:
        rows = subscriptions.list_subscriptions(store, tenant_id=DEFAULT_TENANT)
    if not rows:
        click.echo("Nobody is told by webhook. Add a program: erpflow subscription add")
        return
    lines = [("ID", "URL", "STATE", "DELIVERED", "EVENTS")]
    for row in rows:
        delivered = f"{row.last_delivered_at:%Y-%m-%d %H:%MZ}" if row.last_delivered_at else "never"
        lines.append((row.id, printable(row.url), _state(row), delivered, ", ".join(row.events)))
    echo_table(lines)
    for row in rows:
        if row.disabled_reason:
            click.echo(f"{row.id} is disabled: {row.disabled_reason}")


@subscription.command()
@click.argument("subscription_id", metavar="ID")
def remove(subscription_id: str) -> None:
    """Tell a program nothing any more, and forget what was to be sent to it."""
    from erpflow.store import subscriptions

    with database().session() as store:
        subscriptions.remove_subscription(store, SubscriptionId(subscription_id), tenant_id=DEFAULT_TENANT)
    click.echo(f"Removed {subscription_id}, with its messages.")


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option(
    "--keep-hours", type=click.IntRange(0, 720), default=24, show_default=True, help="The old secret signs too."
)
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input instead of making one.")
def rotate(subscription_id: str, *, keep_hours: int, secret_stdin: bool) -> None:
    """Sign with a new secret; for a while the old one signs too, until the program knows the new one."""
    from erpflow.services.outgoing.subscribing import rotate as rotate_secret
    from erpflow.store.cipher import Cipher

    with database().session() as store:
        secret = rotate_secret(
            store,
            SubscriptionId(subscription_id),
            cipher=Cipher.from_environment(home()),
            tenant_id=DEFAULT_TENANT,
            keep=timedelta(hours=keep_hours),
            secret=_given(from_stdin=secret_stdin),
        )
    click.echo(f"Rotated {subscription_id}; the secret before signs too for {keep_hours} hours.")
    _show_secret(secret, brought=secret_stdin)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
def enable(subscription_id: str) -> None:
    """Tell a disabled program again of what happens from now on."""
    from erpflow.store import subscriptions

    with database().session() as store:
        subscriptions.enable_subscription(store, SubscriptionId(subscription_id), tenant_id=DEFAULT_TENANT)
    click.echo(f"Enabled {subscription_id}.")
    click.echo(f"Send what it missed: erpflow delivery replay --all --subscription {subscription_id}")


@subscription.command()
@click.argument("subscription_id", metavar="ID")
def disable(subscription_id: str) -> None:
    """Tell a program nothing for the time being; what waits for it becomes dead, and can be replayed."""
    from erpflow.store import subscriptions

    with database().session() as store:
        subscriptions.disable_subscription(store, SubscriptionId(subscription_id), tenant_id=DEFAULT_TENANT)
    click.echo(f"Disabled {subscription_id}.")


def _given(*, from_stdin: bool) -> str | None:
    return sys.stdin.readline().strip() if from_stdin else None


def _show_secret(secret: Secret, *, brought: bool) -> None:
    if not brought:
        click.echo(f"Its secret, shown once: {secret.reveal()}")


def _state(row: Subscription) -> str:
    if not row.active:
        return "disabled"
    return f"failing since {row.failing_since:%Y-%m-%d %H:%MZ}" if row.failing_since else "active"
