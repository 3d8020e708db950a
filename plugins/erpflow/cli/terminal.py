"""How a command speaks: tables, one-line values, quiet logs."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def quiet_logs(*, debug: bool) -> None:
    """Send log events to standard error, and only those somebody at a terminal needs.

    A traceback is shown without the values of its variables, which structlog would print: secrets are among them.
    """
    import logging

    import structlog

    *before, _ = structlog.get_config()["processors"]
    # It warns of a rollback that fails on the way out of an error. That error is told; the server rolls back alone.
    logging.getLogger("psycopg").setLevel(logging.WARNING if debug else logging.ERROR)
    structlog.configure(
        processors=[*before, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def printable(value: object, *, width: int = 60) -> str:
    """A vendor's value for a terminal: one line, no control characters, not longer than `width`."""
    text = "".join(sign if sign.isprintable() else " " if sign in "\t\r\n" else "�" for sign in str(value))
    return text if len(text) <= width else text[: width - 1] + "…"


def shown(value: object | None) -> str:
    """A value of a field for a terminal; ∅ where there is none."""
    return "∅" if value is None else printable(value)


def echo_table(lines: Sequence[Sequence[str]]) -> None:
    """Print lines of texts in columns, the first line as their heads."""
    import click

    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
