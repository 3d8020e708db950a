"""The figures as tables on a terminal, and as a file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.contestants import CONTESTANTS, FLOOR
from bench.push_targets import Pushing
from bench.race import Result, figures
from bench.targets import AllFigures, Verdict

WIDTH: Final = 110
"""Columns that the tables need; a terminal or a file that is narrower wraps them."""
LOAD_TITLES: Final = {"first": "first load", "reload": "reload with 1 % changed"}


def show(found: AllFigures, pushed: Sequence[Pushing], verdicts: Sequence[Verdict]) -> None:
    """Prints all tables."""
    console = Console()
    console.width = max(console.width, WIDTH)
    for records in sorted({size for _, size, _ in found}):
        for load, title in LOAD_TITLES.items():
            console.print(_speeds(found, records=records, load=load, title=title))
    if pushed:
        console.print(_pushes(pushed))
    if verdicts:
        console.print(_verdicts(verdicts))


def _speeds(found: AllFigures, *, records: int, load: str, title: str) -> Table:
    """One load at one size. “process” counts interpreter start and imports too; the ratio is of the job alone."""
    table = Table(title=f"{records:,} records, {title}", title_justify="left")
    table.add_column("median of each", no_wrap=True)
    for column in ("job s", "process s", "µs each", "erpflow is", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    ours = found.get(("erpflow", records, load))
    for name, contestant in CONTESTANTS.items():
        own = found.get((name, records, load))
        if own is None or (contestant is FLOOR and load != "first"):
            continue
        table.add_row(
            contestant.title,
            f"{own.seconds:.2f}",
            "" if contestant is FLOOR else f"{own.process_seconds:.2f}",
            f"{own.seconds / records * 1e6:.1f}",
            f"{own.seconds / ours.seconds:.1f}×" if ours and name != "erpflow" else "",
            "" if contestant is FLOOR else f"{own.peak_mib:.0f}",
        )
    return table


def _pushes(pushed: Sequence[Pushing]) -> Table:
    """Pushes, rates and cycles. “own µs” is erpflow's time per record, the vendor's taken off."""
    table = Table(title="Towards the vendor", title_justify="left")
    table.add_column("median of each", no_wrap=True)
    for column in ("records", "job s", "CPU s", "Postgres CPU s", "own µs", "of the rate", "refused", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in pushed:
        table.add_row(
            each.load,
            f"{each.records:,}",
            f"{each.seconds:.2f}",
            f"{each.cpu_seconds:.2f}",
            f"{each.database_cpu_seconds:.2f}",
            f"{each.cost_us:.1f}" if each.cost_us is not None else "",
            f"{each.share:.1%}" if each.share is not None else "",
            str(each.refused) if each.share is not None else "",
            f"{each.peak_mib:.0f}",
        )
    return table


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Targets")
    for column in ("what", "target", "found", ""):
        table.add_column(column, justify="right" if column in ("target", "found") else "left")
    for verdict in verdicts:
        missed = "[yellow]goal[/]" if verdict.is_goal else "[red]miss[/]"
        mark = "[green]pass[/]" if verdict.passed else missed
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
