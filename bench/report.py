"""The figures as tables on a terminal, and as a file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.contestants import CONTESTANTS
from bench.race import LOADS, Result, figures
from bench.targets import AllFigures, Verdict


def show(found: AllFigures, verdicts: Sequence[Verdict]) -> None:
    """Prints both tables."""
    console = Console()
    for records in sorted({size for _, size, _ in found}):
        console.print(_speeds(found, records))
    if verdicts:
        console.print(_verdicts(verdicts))


def _speeds(found: AllFigures, records: int) -> Table:
    table = Table(title=f"Pull of {records:,} records (medians; “process” counts interpreter start and imports)")
    table.add_column("contestant")
    for load in LOADS:
        for title in (f"{load} s", "process s", "µs/record", "× erpflow", "peak MiB"):
            table.add_column(title, justify="right")
    for name, contestant in CONTESTANTS.items():
        cells: list[str] = []
        for load in LOADS:
            own, ours = found.get((name, records, load)), found.get(("erpflow", records, load))
            if own is None or (name == "floor" and load == "reload"):
                cells += [""] * 5
                continue
            cells += [
                f"{own.seconds:.2f}",
                f"{own.process_seconds:.2f}" if name != "floor" else "",
                f"{own.seconds / records * 1e6:.1f}",
                f"{own.seconds / ours.seconds:.2f}" if ours else "",
                f"{own.peak_mib:.0f}" if name != "floor" else "",
            ]
        if any(cells):
            table.add_row(contestant.title, *cells)
    return table


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Targets")
    for column in ("what", "target", "found", ""):
        table.add_column(column, justify="right" if column in ("target", "found") else "left")
    for verdict in verdicts:
        mark = "[green]pass[/]" if verdict.passed else "[red]miss[/]"
        table.add_row(verdict.what, verdict.target, verdict.found, mark)
    return table


def write(folder: Path, results: Sequence[Result], verdicts: Sequence[Verdict]) -> Path:
    """Every single load, the medians and the verdicts as JSON, named after the time (UTC); gives the path."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    document = {
        "at": now.isoformat(),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "medians": [
            {"contestant": name, "records": records, "load": load, **asdict(each)}
            for (name, records, load), each in figures(results).items()
        ],
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "loads": [asdict(result) for result in results],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
