"""Serve the sandbox: `python -m sandbox --port 0 --ready-file PATH`."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import uvicorn

from sandbox.host import VENDORS, Host, create_app, wrap
from sandbox.vendor import ASGIApp, SeedPlan

__all__ = ["Server", "create_app", "main"]

SIZES = ("customers", "items", "orders")
LARGEST = 200_000


class Quiet(uvicorn.Server):
    """Uvicorn without its own signal handlers: it would raise the signal again after a clean stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """A running sandbox on one port; `url` is known as soon as it is bound."""

    def __init__(self, app: ASGIApp, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self.socket = bind(address, port)
        self.url = f"http://{address}:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            timeout_keep_alive=75,
        )
        self.uvicorn = Quiet(config)

    async def serve(self, *, ready_file: Path | None = None) -> None:
        """Serve until told to stop; the ready file holds the URL once requests are answered."""
        serving = asyncio.create_task(self.uvicorn.serve(sockets=[self.socket]))
        while not self.uvicorn.started and not serving.done():  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        if self.uvicorn.started:
            announce(self.url, ready_file)
        await serving

    def stop(self, *_: object) -> None:
        self.uvicorn.should_exit = True


def bind(address: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    # With the protocol named, asyncio sends small answers at once; otherwise a kept connection waits 40 ms for each.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    return listening


def announce(url: str, ready_file: Path | None) -> None:
    """Say where the sandbox is: on stdout, and in the ready file, which appears whole or not at all."""
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".part")
        draft.write_text(url + "\n", "utf-8")
        draft.replace(ready_file)
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="interface to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument("--ready-file", type=Path, help="file that gets the URL once the sandbox answers")
    parser.add_argument("--seed", type=int, default=7, help="seed of the data and the faults (default: %(default)s)")
    parser.add_argument("--time-zone", type=zone_of, help="IANA name of the vendors' own time zone")
    parser.add_argument("--vendor", action="append", choices=sorted(VENDORS), help="only this vendor; may be repeated")
    for size in SIZES:
        parser.add_argument(f"--{size}", type=size_of, metavar="N", help=f"number of {size}, at most {LARGEST:,}")
    return parser.parse_args(arguments)


def zone_of(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time zone; write it like Asia/Kolkata") from None


def size_of(text: str) -> int:
    number = int(text)
    if not 0 <= number <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {LARGEST:,}")
    return number


async def run(options: argparse.Namespace) -> None:
    plan = SeedPlan(
        seed=options.seed,
        sizes={size: getattr(options, size) for size in SIZES if getattr(options, size) is not None},
        time_zone=options.time_zone,
    )
    host = Host(plan, vendors=options.vendor)
    gc.freeze()  # the seeded rows stay: later collections need not look at them
    server = Server(wrap(host), address=options.address, port=options.port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve(ready_file=options.ready_file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop, 1 when the port is taken."""
    options = read_arguments(arguments)
    logging.basicConfig(level=logging.WARNING, format="sandbox: %(message)s")
    try:
        asyncio.run(run(options))
    except OSError as problem:
        sys.stderr.write(
            f"The sandbox cannot listen on {options.address}:{options.port}: {problem.strerror}. "
            "Choose another with --port, or let it find one with --port 0.\n"
        )
        return 1
    return 0
