"""What a process of the stack does before it becomes its program: `python -m stack.child [options] MODULE ARG...`

`--parent PID` asks to be ended when that process dies (on Linux). `--preload a,b` imports modules, `--gate` then waits
for a line on standard input: so a slow starter does its imports while the database it needs is still being made.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import runpy
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PARENT_ENDED: Final = "The process that started this one has ended."


def main(arguments: list[str]) -> None:
    """Prepare, then run the module as if it had been called by `python -m MODULE ARG...`."""
    gated = False
    # Starting up makes hundreds of thousands of objects that stay; looking for garbage among them is a quarter of it.
    gc.set_threshold(100_000, 20, 100)
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--gate":
            gated = True
        elif option == "--parent":
            end_with_parent(int(arguments.pop(0)))
        elif option == "--preload":
            for module in arguments.pop(0).split(","):
                importlib.import_module(module)
    if gated and sys.stdin.readline() == "":
        sys.exit(PARENT_ENDED)
    module = arguments[0]
    sys.argv = [module, *arguments[1:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end_with_parent(parent: int) -> None:
    """Ask Linux for SIGTERM when the thread that started this process ends; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(PARENT_ENDED)


if __name__ == "__main__":
    main(sys.argv[1:])
