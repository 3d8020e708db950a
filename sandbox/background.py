"""A sandbox in a thread of this process, for tests."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.server import Server
from sandbox.vendor import ASGIApp

PATIENCE_S = 20.0


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve the application on a free port of this machine; the value is its URL.

    Raises TimeoutError when it does not come up.
    """
    server = Server(app)
    thread = threading.Thread(target=lambda: asyncio.run(server.uvicorn.serve(sockets=[server.socket])), daemon=True)
    thread.start()
    waited = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        if server.uvicorn.started or not thread.is_alive():
            break
        waited.wait(0.01)
    if not server.uvicorn.started:
        raise TimeoutError(f"The sandbox did not come up within {PATIENCE_S:.0f} s.")
    try:
        yield server.url
    finally:
        server.stop()
        thread.join(PATIENCE_S)
        server.socket.close()
