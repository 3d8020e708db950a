"""`erpflow serve`: the REST API without Airflow around it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import quiet_logs
from erpflow.errors import ConfigError
from erpflow.services.installation import database, home

if TYPE_CHECKING:
    from starlette.applications import Starlette

GRACE_S = 5


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0: on all.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--public-url", help="How the outside reaches this server, behind a proxy: https://erp.example.com")
@click.pass_obj
def serve(debug: bool, *, host: str, port: int, public_url: str | None) -> None:  # noqa: FBT001  (click's object)
    """Serve the REST API at /api/erp, for programs with keys. Runs are started over Airflow's own REST API.

    \b
    ERPFLOW_AIRFLOW_URL       where Airflow is
    ERPFLOW_AIRFLOW_USER      the user of Airflow's that runs are started as
    ERPFLOW_AIRFLOW_PASSWORD  its password
    """
    from erpflow.api import serving
    from erpflow.api.app import mounted
    from erpflow.services.airflow_rest import AirflowRest

    quiet_logs(debug=debug)
    database()  # without one it says so: better now than with the first request
    around = serving.surroundings(
        AirflowRest.from_environment(home()), public_url=public_url.rstrip("/") if public_url else None
    )
    try:
        with _listening(host, port) as listening:
            place = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
            click.echo(f"Serving {place}/api/erp (try {place}/api/erp/docs). Ctrl-C ends it.")
            _run(mounted(around), listening, debug=debug)
    finally:
        around.database.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"Nothing can listen at {host}, port {port} ({error.strerror or error}). Name another with --host, --port."
        ) from None


def _run(app: Starlette, listening: socket.socket, *, debug: bool) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="info" if debug else "warning",
        access_log=False,  # the addresses of a consent hold its code
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])
