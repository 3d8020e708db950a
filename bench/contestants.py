"""Who takes part: how each is started, where it writes, and what has to be there before it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.peer_environment import ROOT, peer_python


def _nothing(_database_url: str) -> None:
    return None


def _prepare_erpflow(database_url: str) -> None:
    from bench.erpflow_pull import prepare

    prepare(database_url)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of doing the job. `module` runs as a process; `peer` ones in the peers' environment.

    `schema` is where it writes its table `customers`, `address_prefix` what stands before the address columns there.
    """

    name: str
    title: str
    module: str
    schema: str
    peer: bool = False
    address_prefix: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[str], None] = _nothing

    def command(self) -> Sequence[str | Path]:
        """The command line, without the job."""
        return [peer_python() if self.peer else sys.executable, "-m", self.module]

    def environment(self, folder: Path) -> dict[str, str]:
        """What is set besides the environment of the benchmark; `folder` is its own."""
        own = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", **self.settings}
        if self.peer:
            # dlt neither reports to its makers nor finds somebody's configuration, and logs only errors.
            own |= {
                "PYTHONPATH": str(ROOT),
                "RUNTIME__DLTHUB_TELEMETRY": "false",
                "RUNTIME__LOG_LEVEL": "ERROR",
                "DLT_DATA_DIR": str(folder / "dlt"),
            }
        return own


ERPFLOW: Final = Contestant(
    name="erpflow", title="erpflow", module="bench.erpflow_pull", schema="bench", prepare=_prepare_erpflow
)
FLOOR: Final = Contestant(name="floor", title="COPY alone (floor)", module="bench.floor", schema="bench")
REST_API: Final = Contestant(
    name="dlt_rest_api",
    title="dlt rest_api, merge",
    module="bench.peers.dlt_rest_api",
    schema="peer",
    peer=True,
    address_prefix="address__",
)
ARROW: Final = Contestant(
    name="dlt_arrow",
    title="dlt Arrow, ADBC upsert",
    module="bench.peers.dlt_arrow",
    schema="peer",
    peer=True,
    address_prefix="address__",
)
ARROW_CSV: Final = Contestant(
    name="dlt_arrow_csv",
    title="dlt Arrow, CSV upsert",
    module="bench.peers.dlt_arrow",
    schema="peer",
    peer=True,
    address_prefix="address__",
    settings={"BENCH_DLT_FILE_FORMAT": "csv"},
)

CONTESTANTS: Final = {each.name: each for each in (FLOOR, ERPFLOW, ARROW, ARROW_CSV, REST_API)}
