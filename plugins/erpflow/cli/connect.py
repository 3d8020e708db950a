"""`erpflow connect`: a person's consent, on the vendor's own page, to what a connection may do."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from erpflow.cli.connection import try_out
from erpflow.cli.redirect import LoopbackServer, is_loopback, parameters_of
from erpflow.cli.terminal import quiet_logs
from erpflow.services.installation import database, home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from erpflow.connectors.oauth import Consent, Grant, OAuthClient

REDIRECT_URI = "http://localhost:8765/callback"
PATIENCE_S = 300.0


@click.command()
@click.argument("connection")
@click.option(
    "--redirect-uri", default=REDIRECT_URI, show_default=True, help="As the app is registered with it at the vendor."
)
@click.option("--paste", is_flag=True, help="The browser is elsewhere: paste the address it is sent to.")
@click.option("--code", "from_console", is_flag=True, help="Enter a code from the vendor's developer console.")
@click.pass_obj
def connect(debug: bool, connection: str, *, redirect_uri: str, paste: bool, from_console: bool) -> None:  # noqa: FBT001
    """Consent, at the vendor, to what CONNECTION may do there; also again, after the vendor ended it.

    The app's client id and secret are the connection's login and password.
    """
    from erpflow.services import consenting
    from erpflow.store import connections
    from erpflow.store.cipher import Cipher
    from erpflow.store.vault import Vault

    quiet_logs(debug=debug)
    db = database()
    with db.session() as store:
        row = connections.get_connection(store, connection)
    client = consenting.client_of(row, Vault.from_environment(home()))
    if client.needs_consent:
        cipher = Cipher.from_environment(home())
        cipher.encrypt("")  # without a key it says so: better now than after a person has agreed
        grant = (
            client.redeem(_asked("The code").strip()) if from_console else _agreed(client, redirect_uri, paste=paste)
        )
        with db.transaction() as store:
            consenting.keep(store, row, grant, cipher=cipher)
    try_out(row, db)


def _agreed(client: OAuthClient, redirect_uri: str, *, paste: bool) -> Grant:
    """The tokens for a consent in a browser, here or elsewhere."""
    consent = client.consent(redirect_uri)
    if paste or not is_loopback(redirect_uri):
        return client.exchange(consent, _pasted(consent))
    with LoopbackServer(redirect_uri) as server:
        if not _opened(consent.url):
            click.echo("No browser can be opened here. If yours is on another machine, press Ctrl-C and add --paste.")
        click.echo(f"Agree on the vendor's page:\n\n  {consent.url}\n")
        redirect = server.wait(consent.state, seconds=PATIENCE_S)
    return client.exchange(consent, redirect)


def _opened(url: str) -> bool:
    import webbrowser

    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False  # a browser in this terminal would take it away from us
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def _pasted(consent: Consent) -> Mapping[str, str]:
    click.echo(
        f"1. Open this page in any browser, and agree:\n\n  {consent.url}\n\n"
        "2. The browser is sent to another address. Copy all of it, even if the page does not load."
    )
    return parameters_of(_asked("The address"))


def _asked(what: str) -> str:
    """A line that holds a secret: unseen at a terminal, as it comes from a pipe."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True))
    return sys.stdin.readline()
