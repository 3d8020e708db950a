"""The HTTP side of erpflow, mounted by the Airflow API server at /api/erp. Today: the page of a sync log.

Who may call what is decided by whoever mounts the app: it passes the dependency that guards reading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.templating import Jinja2Templates

from erpflow import __version__
from erpflow.errors import ConfigError, ErpflowError
from erpflow.store import rejects, sync_logs
from erpflow.store.database import Database
from erpflow.vocabulary import SyncLogId

TEMPLATES = Jinja2Templates(directory=Path(__file__).parents[1] / "ui" / "templates")

REJECTS_SHOWN = 100


def create_app(*, database: Callable[[], Database], may_look: Callable[..., Any]) -> FastAPI:
    """The app. `may_look` is a FastAPI dependency that raises 401 or 403 for whoever may not read."""
    app = FastAPI(title="erpflow", version=__version__, docs_url="/docs", redoc_url=None)

    @app.exception_handler(ErpflowError)
    def problem(_request: Request, error: ErpflowError) -> Response:
        """An error of the family as RFC 9457 problem details."""
        body = {"title": type(error).__name__, "status": 503, "detail": str(error)}
        return JSONResponse(body, status_code=503, media_type="application/problem+json")

    @app.get("/sync-logs/{log_id}", dependencies=[Depends(may_look)])
    def sync_log(request: Request, log_id: UUID) -> Response:
        """One sync log: what was read, what became of it, and which records were rejected and why.

        A browser gets a page, a program JSON.
        """
        with database().session() as connection:
            try:
                summary = sync_logs.summary(connection, SyncLogId(str(log_id)))
            except ConfigError as error:
                raise HTTPException(404, str(error)) from error
            refused = rejects.of_log(connection, SyncLogId(str(log_id)), limit=REJECTS_SHOWN)
        facts = asdict(summary) | {"rejects": [asdict(reject) for reject in refused]}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(facts)
        page = TEMPLATES.TemplateResponse(request, "sync_log.html", {"log": summary, "rejects": refused})
        return HTMLResponse(
            bytes(page.body), headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        )

    return app
