"""The HTTP side of erpflow: the REST API at /api/erp, and the routes that existing systems call at paths of their own.

Airflow's API server mounts it (`airflow/plugin.py`), or `erpflow serve` runs it alone. It knows neither: what it needs
comes as Surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from erpflow import __version__
from erpflow.api.bounds import LARGEST, BoundedBodies, as_problem
from erpflow.api.event_hub import EventHub
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import RESPONSES, Problem, add_problems
from erpflow.api.routers import (
    api_keys,
    conflicts,
    connections,
    dashboard,
    events,
    field_mappings,
    health,
    messages,
    metrics,
    oauth,
    rate_limits,
    reconciliations,
    rejects,
    subscriptions,
    sync_configs,
    sync_logs,
    sync_records,
    syncs,
    transform_templates,
    trials,
    webhook_setup,
    webhooks,
)
from erpflow.api.surroundings import Surroundings
from erpflow.api.vendors import (
    customers,
    emails,
    erpnext_setup,
    gst,
    metakocka,
    ocr,
    razorpay,
    received,
    texts,
    veekaart_orders,
    veekaart_pushes,
    wording,
)

API = "/api/erp"

ROUTERS = (
    health.router,
    sync_logs.router,
    api_keys.router,
    events.router,
    dashboard.router,
    metrics.router,
    connections.router,
    oauth.router,
    rate_limits.router,
    transform_templates.router,
    sync_configs.router,
    field_mappings.router,
    trials.router,
    syncs.router,
    sync_records.router,
    conflicts.router,
    rejects.router,
    reconciliations.router,
    webhook_setup.router,
    webhooks.router,
    webhooks.receiver,
    subscriptions.router,
    messages.router,
)

VENDOR_ROUTERS: dict[str, tuple[APIRouter, ...]] = {
    "/api/customers": (customers.router,),
    "/api/metakocka": (metakocka.router,),
    "/api/webhooks/erpnext": (erpnext_setup.router, received.erpnext),
    "/api/webhooks/veekaart": (veekaart_orders.router,),
    "/api/integrations/veekaart": (veekaart_pushes.router,),
    "/webhooks": (received.razorpay,),
    "/emails": (emails.router,),
    "/messages": (texts.router,),
    "/razorpay": (razorpay.router,),
    "/ocr": (ocr.router,),
    "/gst": (gst.router,),
}
"""What other systems call at paths of their own, by the prefix they are mounted at. Each has an OpenAPI of its own."""

LARGEST_BODIES = {"/gst": 8 * 1024 * 1024}
"""In bytes, where what comes is larger than elsewhere: the invoices of a month."""


def create_app(surroundings: Surroundings) -> FastAPI:
    """The REST API, to be mounted at /api/erp."""
    return _app("erpflow", surroundings, ROUTERS)


def create_vendor_apps(surroundings: Surroundings) -> dict[str, FastAPI]:
    """The apps of VENDOR_ROUTERS, by the prefix each is to be mounted at."""
    return {
        prefix: _app(f"erpflow {prefix}", surroundings, routers, largest=LARGEST_BODIES.get(prefix, LARGEST))
        for prefix, routers in VENDOR_ROUTERS.items()
    }


def mounted(surroundings: Surroundings) -> Starlette:
    """All of them in one, each where Airflow mounts it."""
    apps = {API: create_app(surroundings), **create_vendor_apps(surroundings)}
    root = Starlette(routes=[Mount(prefix, app=app) for prefix, app in apps.items()])
    add_problems(root)
    return root


def _app(title: str, surroundings: Surroundings, routers: Sequence[APIRouter], *, largest: int = LARGEST) -> FastAPI:
    # Whoever refuses a body does not know yet for which route it is.
    is_plain = all(_is_plain(router) for router in routers)
    app = FastAPI(
        title=title,
        version=__version__,
        redoc_url=None,
        middleware=[Middleware(BoundedBodies, largest=largest, refuse=wording.refuse_body if is_plain else as_problem)],
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.surroundings = surroundings
    app.state.events = EventHub(lambda: surroundings.database.database)
    add_problems(app)
    app.router.route_class = IdempotentRoute
    for router in routers:
        app.include_router(router, responses=_refusals(router, has_plain_frame=is_plain))
    _describe_refusals(app)
    return app


def _is_plain(router: APIRouter) -> bool:
    return issubclass(router.route_class, wording.PlainlyWorded)


def _refusals(router: APIRouter, *, has_plain_frame: bool) -> dict[int | str, dict[str, Any]]:
    """What the routes of a router may answer besides success; both ways where the frame around them has another."""
    if not _is_plain(router):
        return RESPONSES
    if has_plain_frame:
        return wording.RESPONSES
    return {
        status: said | {"content": said["content"] | RESPONSES[status]["content"]}
        for status, said in wording.RESPONSES.items()
    }


def _describe_refusals(app: FastAPI) -> None:
    """Put the schemas of errors into the OpenAPI, to which every endpoint refers."""
    describe = app.openapi

    def openapi() -> dict[str, object]:
        known = app.openapi_schema is not None
        schema = describe()
        if not known:
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, wording.Refusal):
                if model.__name__ in schemas:
                    raise TypeError(f"Another model is called {model.__name__}, as what errors look like: rename it.")
                schemas[model.__name__] = model.model_json_schema()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
