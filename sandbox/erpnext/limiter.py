"""The vendor's rate limiter: it counts the site's server time in microseconds, not requests."""

import time
from dataclasses import dataclass

from starlette.responses import Response

from sandbox.erpnext.errors import FrappeError
from sandbox.erpnext.site import Site

MICRO = 1_000_000


@dataclass(slots=True)
class Metered:
    """One request under the limiter; `started_ns` is when the server began to work on it."""

    limit_us: int
    reset_s: int
    used_before_us: int
    started_ns: int

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-reset": str(self.reset_s),
            "x-ratelimit-limit": str(self.limit_us),
            "x-ratelimit-remaining": str(max(self.limit_us - self.used_before_us, 0)),
        }


def begin(site: Site) -> Metered | None:
    """Start the meter; None when the site has no limit, as is the default."""
    if site.switches.rate_limit is None:
        return None
    limit_s, window_s = site.switches.rate_limit
    now = time.time()
    window = int(now // window_s)
    if site.meter.window != window:
        site.meter.window, site.meter.used_us = window, 0
    return Metered(int(limit_s * MICRO), int((window + 1) * window_s - now), site.meter.used_us, time.perf_counter_ns())


def check(metered: Metered | None) -> None:
    """Raises FrappeError (429) once the window's server time is used up."""
    if metered is not None and metered.used_before_us >= metered.limit_us:
        raise FrappeError("TooManyRequestsError", 429)


def finish(site: Site, metered: Metered | None, response: Response) -> None:
    """Book the time used and put the headers on the answer; a refusal says when to come back."""
    if metered is None:
        return
    used = (time.perf_counter_ns() - metered.started_ns) // 1000
    response.headers.update(metered.headers())
    if response.status_code == 429:
        response.headers["retry-after"] = str(metered.reset_s)
        return
    site.meter.used_us += max(used, 1)
    response.headers["x-ratelimit-used"] = str(used)
