"""The side door of the portal: its switches, its public key, its sessions, and what it has been asked."""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.gst_portal.envelope import public_pem
from sandbox.gst_portal.portal import Portal, Switches


def control_routes(portal: Portal) -> list[Route]:
    """Routes below `/_sandbox/gst_portal/`: switches, public-key, end-sessions, returns."""
    names = tuple(asdict(Switches()))

    async def switch(request: Request) -> Response:
        """Set any of polls, session_minutes, small, lose_filing, extra."""
        given: Any = await body_of(request)
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(names)}.")
        for name, value in given.items():
            setattr(portal.switches, name, value)
        return JSONResponse(asdict(portal.switches))

    async def key(_: Request) -> Response:
        """The public key that an app's key is encrypted with."""
        return JSONResponse({"public_key": public_pem()})

    async def end_sessions(_: Request) -> Response:
        """End every session, as their time would."""
        portal.sessions.clear()
        return JSONResponse({})

    async def returns(_: Request) -> Response:
        """Every return: its ARN, and how many rows each section has; and how often each action was asked for."""
        shown = [
            {
                "gstin": gstin, "period": period, "arn": filing.arn, "is_ready": filing.is_ready,
                "rows": {section: len(rows) for section, rows in filing.sections.items() if rows},
            }
            for (gstin, period), filing in portal.returns.items()
        ]  # fmt: skip
        return JSONResponse({"returns": shown, "asked": portal.asked})

    return [
        Route("/switches", refusing(switch), methods=["POST"]),
        Route("/public-key", refusing(key), methods=["GET"]),
        Route("/end-sessions", refusing(end_sessions), methods=["POST"]),
        Route("/returns", refusing(returns), methods=["GET"]),
    ]
