"""A process that sends what is due and is killed with SIGKILL between the receiver's yes and the note of it.

python -m tests.outgoing_crash DATABASE_URL FERNET_KEY
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from erpflow.services.outgoing.delivering import deliver_due
from erpflow.services.outgoing.sending import Reach
from erpflow.store import deliveries
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database


def die(*_arguments: Any, **_options: Any) -> None:
    """End at once, as the kernel ends a process that runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """See the module."""
    url, key = sys.argv[1:]
    deliveries.settle_delivered = die
    deliver_due(Database(url), Cipher(key), reach=Reach(private_networks=True, plain_http=True))


if __name__ == "__main__":
    main()
