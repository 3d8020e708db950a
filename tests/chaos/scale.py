"""How much chaos: a short form, the same in every test run, and the long one of `make chaos`, whose seed is new."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass

VARIABLE = "ERPFLOW_CHAOS"


@dataclass(frozen=True)
class Scale:
    """`seed` is where all dice begin.

    `cursors`: hostile vendors for each way of reading. `creates`: records that are made while answers are lost.
    `restarts` of Postgres. `seconds`: how long workers are killed.
    """

    seed: int = 7
    cursors: int = 30
    creates: int = 1_000
    restarts: int = 7
    seconds: float = 12
    is_long: bool = False

    @property
    def timeout_s(self) -> int:
        """How long one test may take, on a machine that is busy with others too."""
        return 7_200 if self.is_long else 300

    def tell(self, sentence: str) -> None:
        """Say what was survived, to a person who waits for it."""
        if self.is_long:
            sys.__stderr__.write(f"\n  {sentence}\n")  # pytest has taken the other one

    def as_environment(self) -> dict[str, str]:
        """The variable that hands a scale to the tests."""
        return {VARIABLE: json.dumps(asdict(self))}


SCALE = Scale(**json.loads(os.environ.get(VARIABLE, "{}")))
