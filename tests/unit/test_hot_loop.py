"""The interpreter's settings while loops are hot: set by the first, set back by the last, whichever ends first."""

from __future__ import annotations

import gc
import sys

from erpflow.sync.pull import SWITCH_INTERVAL_S, hot_loop


def test_loops_that_overlap_leave_the_interpreter_as_it_was() -> None:
    before = sys.getswitchinterval()
    first, second = hot_loop(), hot_loop()
    first.__enter__()
    second.__enter__()
    assert (gc.isenabled(), round(sys.getswitchinterval(), 6)) == (False, SWITCH_INTERVAL_S)
    first.__exit__(None, None, None)
    assert (gc.isenabled(), round(sys.getswitchinterval(), 6)) == (False, SWITCH_INTERVAL_S)
    second.__exit__(None, None, None)
    assert (gc.isenabled(), round(sys.getswitchinterval(), 6)) == (True, round(before, 6))
