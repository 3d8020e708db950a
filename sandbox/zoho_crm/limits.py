"""API credits in a rolling day, and how many requests may be under way at once.

Source: API limits of v8: a GET costs 1, writes 1 for each 10 records, a Bulk Read job 50 (UNVERIFIED).
"""

from collections import deque
from dataclasses import dataclass, field

from sandbox.zoho_crm.answers import ZohoError
from sandbox.zoho_crm.clock import OrgClock

DAY_S = 86_400
JOB_COST = 50


@dataclass(slots=True)
class Credits:
    """What was spent, as (when, how much). The numbers are those of an Enterprise edition with few users."""

    clock: OrgClock
    most: int = 60_000
    most_at_once: int = 20
    under_way: int = 0
    spent: int = 0
    refused: int = 0
    _log: deque[tuple[int, int]] = field(default_factory=deque)

    def spend(self, cost: int) -> None:
        """Raises ZohoError when it is too much."""
        now = self.clock.now()
        while self._log and self._log[0][0] <= now - DAY_S:
            self.spent -= self._log.popleft()[1]
        if self.spent + cost > self.most or self.under_way > self.most_at_once:
            self.refused += 1
            raise ZohoError(429, "TOO_MANY_REQUESTS", "You have exceeded the API limit. Please try again later.")
        self.spent += cost
        self._log.append((now, cost))

    def headers(self) -> dict[str, str]:
        """Zoho tells what is left only once half of it is used."""
        return {"X-API-CREDITS-REMAINING": str(self.most - self.spent)} if self.spent * 2 >= self.most else {}
