"""Long chaos: `make chaos ARGS="kills --seed 4711 --seconds 600"`. Ends with status 0 when everything was survived.

Without words all four kinds are tried. The seed of a run is printed: with it, the same dice are thrown again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from random import SystemRandom

from tests.chaos.scale import Scale

HERE = Path(__file__).parent
KINDS = {
    "cursors": "hostile vendors are read: nothing may be missing in the end",
    "answers": "a vendor does what it is told and loses its answer: everything is there once",
    "restarts": "Postgres is shut down at once, in the middle of COPY and of commits",
    "kills": "workers that sync both ways at once are killed with kill -9",
}


def arguments() -> argparse.Namespace:
    """What to try and how long."""
    about = "\n".join(f"  {kind:9} {what}" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…", description=f"{__doc__}\n\n{about}", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="cursors, answers, restarts, kills; default: all")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="default: a new one")
    parser.add_argument("--seconds", type=float, default=180, help="of kills (default: %(default)g)")
    parser.add_argument("--cursors", type=int, default=1_000, help="hostile vendors, each its seed (%(default)s)")
    parser.add_argument("--creates", type=int, default=10_000, help="records that are made (%(default)s)")
    parser.add_argument("--restarts", type=int, default=20, help="of Postgres (%(default)s)")
    given = parser.parse_args()
    if unknown := sorted(set(given.kinds) - set(KINDS)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(KINDS)}")
    return given


def main() -> int:
    """Run the tests of this folder at the scale that was asked for; their status."""
    given = arguments()
    scale = Scale(given.seed, given.cursors, given.creates, given.restarts, given.seconds, is_long=True)
    again = f'make chaos ARGS="{" ".join([*given.kinds, f"--seed {given.seed}"])}"'
    sys.stdout.write(f"Seed {given.seed}; to throw the same dice again: {again}\n")
    sys.stdout.flush()
    files = [str(HERE / f"test_{kind}.py") for kind in given.kinds or KINDS]
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "--capture=sys", "--durations=0", *files]
    return subprocess.run(command, env={**os.environ, **scale.as_environment()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
