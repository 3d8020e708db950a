"""Whether somebody must wake a drain for what has just come, and the name that many who do so at once agree on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from erpflow.store import webhook_lanes
from erpflow.store.webhook_events import Connection
from erpflow.webhooks.drain import STAY_S

DAG_ID: Final = "erpflow__webhooks"
CONF: Final = {"stay_s": STAY_S}
"""What the DAG run of a drain that was woken is given: how many seconds it listens on for more."""

_TOGETHER_S: Final = 5


def needs_waking(connection: Connection) -> bool:
    """Whether no drain is listening. Asked after the events are committed, outside of a transaction."""
    return not webhook_lanes.has_listener(connection)


def wake_run_id(now: datetime) -> str:
    """The id of the DAG run that wakes a drain now: the same for some seconds, so that one run starts for a burst.

    That the run is there already is as good as having made it: it looks at the inbox later than now.
    """
    at = now.replace(second=now.second - now.second % _TOGETHER_S, microsecond=0)
    return f"webhook__{at:%Y-%m-%dT%H:%M:%S}"
