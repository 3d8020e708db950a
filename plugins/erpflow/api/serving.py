"""The API's surroundings without Airflow around it: of the environment that the command line reads too."""

from __future__ import annotations

from starlette.requests import Request

from erpflow.api.surroundings import Orchestrator, Person, Surroundings
from erpflow.services import installation
from erpflow.store.cipher import Cipher
from erpflow.store.tenancy import TenantDatabase
from erpflow.store.vault import Vault


def surroundings(orchestrator: Orchestrator, *, public_url: str | None = None) -> Surroundings:
    """What `erpflow serve` works with. Nobody logs in there: programs have keys, people have Airflow."""
    return Surroundings(
        database=TenantDatabase(installation.database),
        vault=lambda: Vault.from_environment(installation.home()),
        cipher=lambda: Cipher.from_environment(installation.home()),
        connect=lambda row: installation.connector_for(row, installation.database()),
        engine=lambda: installation.engine(installation.database()),
        mappings=installation.mappings_folder(),
        orchestrator=orchestrator,
        person=_nobody,
        public_url=public_url,
    )


async def _nobody(_request: Request) -> Person | None:
    return None
