"""`erpflow sandbox`: the vendors' APIs as a local server."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Run the vendors' APIs as a local server (erpflow sandbox --help).

    Everything behind the word goes to the sandbox itself: `python -m sandbox`.
    """
    import runpy
    import sys
    from importlib.util import find_spec

    from erpflow.errors import ConfigError

    if find_spec("sandbox") is None or find_spec("sandbox.__main__") is None:
        raise ConfigError("The sandbox is not installed. Install erpflow with it: pip install erpflow")
    sys.argv = ["erpflow sandbox", *arguments]
    runpy.run_module("sandbox", run_name="__main__")
