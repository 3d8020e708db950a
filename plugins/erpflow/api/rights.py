"""What a caller may do, in four words that Airflow's auth managers can answer and an API key can hold."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """`look`: read everything but secrets. `run`: start syncs. `resolve`: decide conflicts, try rejects again.

    `configure`: connections, sync configs, mappings, keys and webhooks.
    """

    LOOK = "look"
    RUN = "run"
    RESOLVE = "resolve"
    CONFIGURE = "configure"
