"""`erpflow version`."""

from __future__ import annotations

import platform

import click

from erpflow import __version__


@click.command()
def version() -> None:
    """Print the versions of erpflow, Python and Airflow."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        airflow = f"Airflow {installed('apache-airflow-core')}"
    except PackageNotFoundError:
        airflow = "without Airflow"
    click.echo(f"erpflow {__version__} (Python {platform.python_version()}, {airflow})")
