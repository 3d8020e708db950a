"""`erpflow delivery`: the messages to other programs, those that were given up, and another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import printable, quiet_logs
from erpflow.services.installation import database, home
from erpflow.vocabulary import DEFAULT_TENANT, DeliveryId, DeliveryState, SubscriptionId

if TYPE_CHECKING:
    from erpflow.store.deliveries import Delivery


@click.group()
def delivery() -> None:
    """Messages to other programs: what was sent, what waits, what was given up."""


@delivery.command("list")
@click.option("--subscription", "subscription_id", metavar="ID", help="Only to this program.")
@click.option("--dead", "state", flag_value=DeliveryState.DEAD.value, help="Only those that were given up.")
@click.option("--pending", "state", flag_value=DeliveryState.PENDING.value, help="Only those that wait.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def list_(*, subscription_id: str | None, state: str | None, limit: int) -> None:
    """List messages, the newest first, with what their receiver said last."""
    from erpflow.store import deliveries

    with database().session() as store:
        found = deliveries.find(
            store,
            tenant_id=DEFAULT_TENANT,
            state=DeliveryState(state) if state else None,
            subscription_id=SubscriptionId(subscription_id) if subscription_id else None,
            limit=limit + 1,
        )
    for each in found[:limit]:
        _show(each)
    if len(found) > limit:
        click.echo("… and more; --limit shows them")
    if not found:
        click.echo("There are no such messages.")


@delivery.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
@click.option("--subscription", "subscription_id", metavar="ID", help="With --all: only those to this program.")
def replay(ids: tuple[str, ...], *, every: bool, subscription_id: str | None) -> None:
    """Send the messages IDS once more, or --all that were given up; under the same webhook-id as before."""
    from erpflow.store import deliveries

    if bool(ids) == every or (ids and subscription_id):
        raise click.UsageError("Name the messages by their ids, or say --all, also with --subscription.")
    with database().transaction() as store:
        if every:
            only = SubscriptionId(subscription_id) if subscription_id else None
            number = deliveries.replay_dead(store, tenant_id=DEFAULT_TENANT, subscription_id=only)
            left = deliveries.count(store, tenant_id=DEFAULT_TENANT, state=DeliveryState.DEAD)
        else:
            for each in ids:
                deliveries.replay(store, DeliveryId(each), tenant_id=DEFAULT_TENANT)
            number, left = len(ids), 0
    click.echo(f"{number} {'is' if number == 1 else 'are'} due again.")
    if every and left and not subscription_id:
        click.echo(f"{left} stay dead, for their subscriptions are disabled: erpflow subscription list")


@delivery.command()
@click.pass_obj
def send(debug: bool) -> None:  # noqa: FBT001  (click hands its object over by position)
    """Send what is due now, as the DAG erpflow__outgoing does every minute."""
    from erpflow.services.outgoing.delivering import deliver_due
    from erpflow.store.cipher import Cipher

    quiet_logs(debug=debug)
    done = deliver_due(database(), Cipher.from_environment(home()))
    click.echo(f"{done.delivered} delivered, {done.failed} not taken, of which {done.dead} are given up.")
    if done.disabled:
        click.echo(f"{done.disabled} disabled; erpflow subscription list says why.")


def _show(each: Delivery) -> None:
    color = {DeliveryState.DEAD: "red", DeliveryState.PENDING: "yellow"}.get(each.state)
    when = f"  next {each.next_attempt_at:%Y-%m-%d %H:%M:%SZ}" if each.state is DeliveryState.PENDING else ""
    click.secho(
        f"{each.id}  {each.created_at:%Y-%m-%d %H:%M:%SZ}  {each.type}  {each.state}  {each.attempts} attempts{when}  "
        f"{each.event_id} to {printable(each.url)}",
        fg=color,
    )
    if each.last_error:
        click.echo(f"    {printable(each.last_error, width=200)}")
