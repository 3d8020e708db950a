"""The command `erpflow`: the same calls as the DAGs and the API, from a terminal.

Status for the shell: 0 done, 1 not done (one sentence says why), 2 done with rejects or findings, 130 stopped (Ctrl-C).
Nothing heavy is imported before a command needs it: `erpflow --help` must not cost what Airflow costs.
"""

from __future__ import annotations

import sys

import click

from erpflow.cli.api_key import api_key
from erpflow.cli.conflict import conflict
from erpflow.cli.connect import connect
from erpflow.cli.connection import connection
from erpflow.cli.connector import connector
from erpflow.cli.db import db
from erpflow.cli.delivery import delivery
from erpflow.cli.history import history
from erpflow.cli.mapping import mapping
from erpflow.cli.plan import plan
from erpflow.cli.reconcile import reconcile
from erpflow.cli.reject import reject
from erpflow.cli.replay import replay
from erpflow.cli.sandbox import sandbox
from erpflow.cli.serve import serve
from erpflow.cli.subscription import subscription
from erpflow.cli.sync import sync
from erpflow.cli.template import template
from erpflow.cli.tenant import tenant
from erpflow.cli.version import version
from erpflow.errors import ErpflowError

FAILED = 1
STOPPED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error comes from, and every log event.")
@click.pass_context
def erpflow(context: click.Context, *, debug: bool) -> None:
    """Keep an application's Postgres tables and its ERPs in step.

    \b
    ERPFLOW_DATABASE_URL  the application's database
    ERPFLOW_MAPPINGS      the folder of mapping files (include/mappings)
    ERPFLOW_CONNECTORS    the folder of declared connectors (include/connectors)
    ERPFLOW_LANDING_URI   where raw pages land
    ERPFLOW_HOME          the state folder (.erpflow)
    """
    context.obj = debug


COMMANDS = (
    api_key, conflict, connect, connection, connector, db, delivery, history, mapping, plan, reconcile, reject, replay,
    sandbox, serve, subscription, sync, template, tenant, version,
)  # fmt: skip
for command in COMMANDS:
    erpflow.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(erpflow.main(words, prog_name="erpflow", standalone_mode=False) or 0)
    except ErpflowError as error:
        if "--debug" in words:
            raise
        _complain(str(error))
    except click.exceptions.Abort:
        _complain("Stopped.", status=STOPPED)
    except click.ClickException as error:
        error.show()
        # 2, click's own status for a misspelt option, means rejects here.
        sys.exit(FAILED)
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough.
        sys.stderr.close()
        sys.exit(FAILED)


def _complain(sentence: str, *, status: int = FAILED) -> None:
    click.secho(sentence, err=True, fg="red")
    sys.exit(status)
