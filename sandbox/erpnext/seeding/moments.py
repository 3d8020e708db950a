"""Times for seeded documents: spread over the past, all different, never later than the anchor."""

import random
from datetime import datetime, timedelta

from sandbox.erpnext.clock import wire_time

ANCHOR = datetime(2026, 6, 30, 18, 0)  # noqa: DTZ001 - site-local, as all of the vendor's times are
SPAN = timedelta(days=720)
MICRO = 1_000_000


def lifetimes(rng: random.Random, count: int, *, changed: float = 0.4) -> list[tuple[str, str]]:
    """`count` pairs of creation and modified, ascending by creation; `changed` of them were touched later."""
    span = int(SPAN.total_seconds() * MICRO)
    start = ANCHOR - SPAN
    born = sorted(rng.sample(range(span - MICRO), count))
    taken: set[int] = set()
    pairs: list[tuple[str, str]] = []
    for creation in born:
        modified = rng.randrange(creation, span) if rng.random() < changed else creation
        while modified in taken:
            modified += 1
        taken.add(modified)
        pairs.append((wire_time(start + timedelta(microseconds=creation)),
                      wire_time(start + timedelta(microseconds=modified))))  # fmt: skip
    return pairs
