"""The GST portal behind a GSP: sessions by OTP, and GSTR-1 from its first row to its acknowledgement."""

from sandbox.gst_portal.api import create_app
from sandbox.gst_portal.control import control_routes
from sandbox.gst_portal.portal import Portal
from sandbox.vendor import SeedPlan

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "gst_portal"


def seed(plan: SeedPlan) -> Portal:
    """A portal at which two taxpayers have saved nothing yet; its keys follow the seed."""
    return Portal(seed=plan.seed)


def counts(portal: Portal) -> dict[str, int]:
    """How many taxpayers may sign in: a return is nothing that is synced."""
    return {"taxpayer": len(portal.taxpayers)}
