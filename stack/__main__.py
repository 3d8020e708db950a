"""`python -m stack`: the demo, and the end of what a killed demo left behind."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Read the command line; the status for the shell."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description="Run erpflow on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="start everything, sync the demo data, keep serving")
    demo.add_argument("--exit", action="store_true", help="end after the summary; status 0 when all counts match")
    demo.add_argument("--port", type=int, help="the port of the UI (default: 8080, or the first free one above it)")
    demo.add_argument("--system", action="append", default=[], help="only this system; may be repeated (default: all)")
    commands.add_parser("stop", help="stop the database server that a killed demo left behind")
    arguments = parser.parse_args()
    home = Path(os.environ.get("ERPFLOW_HOME") or PROJECT / ".erpflow").absolute()
    if arguments.command == "stop":
        from stack.bring_up import stop_leftovers

        stop_leftovers(home)
        return 0
    from stack.demo import Options, run

    then = "exit" if arguments.exit else "serve"
    return run(Options(project=PROJECT, home=home, port=arguments.port, then=then, systems=tuple(arguments.system)))


if __name__ == "__main__":
    sys.exit(main())
