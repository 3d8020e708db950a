"""Brings the schema of a database up to this version of erpflow, once, whoever else does it at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from erpflow.errors import ConfigError
from erpflow.store.database import Database, translate_errors

if TYPE_CHECKING:
    import psycopg
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

MIGRATIONS: Final = Path(__file__).with_name("migrations")
STATE: Final = "state"
DEMO: Final = "demo"
OLDEST_SERVER: Final = 14

_UPGRADE_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended('erpflow.upgrade', 0))"
_AIRFLOW_TABLES: Final = """
SELECT count(*) FROM pg_tables WHERE tablename IN ('dag_run', 'task_instance', 'serialized_dag')
"""
_REVISIONS: Final = "SELECT version_num FROM erpflow.erp_schema_version ORDER BY version_num"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did: the steps it applied, in order (none when the schema was current), and where it stands."""

    applied: tuple[str, ...]
    revisions: tuple[str, ...]


def upgrade(database: Database, *, demo_tables: bool = False, to: str | None = None) -> Upgrade:
    """Apply the steps that are missing. Idempotent; a second one waits for the first.

    `demo_tables` adds the schema `app`. `to` stops at an earlier step (tests start from each).
    Raises ConfigError for Airflow's own database, a server that is too old, or a schema newer than this erpflow.
    """
    from alembic import command

    config = _config()
    with translate_errors(database), _connection(database) as (connection, driver):
        _refuse_wrong_server(database, driver)
        driver.execute(_UPGRADE_LOCK)
        driver.execute("CREATE SCHEMA IF NOT EXISTS erpflow")
        driver.commit()
        before = _revisions(driver)
        _refuse_newer_schema(database, before, config)
        config.attributes["connection"] = connection
        with _plain_errors():
            command.upgrade(config, to or f"{STATE}@head")
            if demo_tables:
                command.upgrade(config, f"{DEMO}@head")
        after = _revisions(driver)
    return Upgrade(applied=_steps_between(config, before, after), revisions=after)


def steps(branch: str = STATE) -> tuple[str, ...]:
    """The steps of a branch (`state` or `demo`), oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    return tuple(step.revision for step in reversed(list(script.iterate_revisions(f"{branch}@head", "base"))))


def run_script(module: str) -> None:
    """Run the SQL file beside the migration `module` (its `__file__`), within the migration's transaction."""
    from alembic import op

    statements = Path(module).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{MIGRATIONS / 'erpflow'}\n{MIGRATIONS / 'app'}")
    return config


@contextmanager
def _connection(database: Database) -> Iterator[tuple[Connection, psycopg.Connection[Any]]]:
    """One connection for Alembic and for us: closing it also gives the upgrade's lock back."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=database.connect, poolclass=NullPool)
    with engine.connect() as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        yield connection, driver


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Give psycopg's errors back where SQLAlchemy wrapped them, so that they are translated like all others."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise (error.orig or error) from None


def _revisions(driver: psycopg.Connection[Any]) -> tuple[str, ...]:
    row = driver.execute("SELECT to_regclass('erpflow.erp_schema_version') IS NOT NULL").fetchone()
    found = tuple(str(r[0]) for r in driver.execute(_REVISIONS)) if row and row[0] else ()
    driver.commit()
    return found


def _refuse_wrong_server(database: Database, driver: psycopg.Connection[Any]) -> None:
    version = driver.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise ConfigError(
            f"The server of {database.place} is Postgres {version}; erpflow needs {OLDEST_SERVER} or newer."
        )
    row = driver.execute(_AIRFLOW_TABLES).fetchone()
    if row and row[0]:
        raise ConfigError(
            f"The database {database.place} is Airflow's metadata database (it has its table dag_run). erpflow keeps "
            f"its state in a database of its own, so that neither upgrade can harm the other: create one and set "
            f"ERPFLOW_DATABASE_URL to it."
        )


def _refuse_newer_schema(database: Database, found: tuple[str, ...], config: Config) -> None:
    unknown = [revision for revision in found if revision not in {step.revision for step in _walk(config)}]
    if unknown:
        raise ConfigError(
            f"The schema of {database.place} was upgraded by a newer erpflow (step {', '.join(unknown)} is unknown "
            f"here). Install that version, or restore a copy of the database from before."
        )


def _steps_between(config: Config, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    script = _script(config)

    def reached(heads: tuple[str, ...]) -> set[str]:
        return {step.revision for head in heads for step in script.iterate_revisions(head, "base")}

    done = reached(before)
    new = reached(after) - done
    return tuple(step for branch in (STATE, DEMO) for step in steps(branch) if step in new)


def _script(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


def _walk(config: Config) -> list[Any]:
    return list(_script(config).walk_revisions())
