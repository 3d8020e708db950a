"""The arguments of a request: query string, JSON body or form, as the framework merges them."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

from sandbox.erpnext.errors import bad_json

Values = dict[str, Any]


@dataclass(slots=True)
class Arguments:
    """What a request brought; `body` is the raw text when nothing has parsed it yet."""

    values: Values = field(default_factory=dict)
    body: str = ""
    upload: tuple[str, bytes] | None = None  # file name and content of a multipart request

    def document(self) -> Values:
        """The document in the request: the field `data`, or the whole JSON body whatever its Content-Type.

        Raises FrappeError (500 JSONDecodeError).
        """
        data = self.values.get("data")
        if data is None:
            return parsed(self.body) if self.body else dict(self.values)
        return parsed(data) if isinstance(data, str) else dict(data)


def parsed(text: str) -> Values:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as problem:
        raise bad_json(problem) from None
    return found if isinstance(found, dict) else {}


async def read_arguments(request: Request) -> Arguments:
    """All arguments of the request.

    Raises FrappeError (500, without cookies) for a JSON body that is none: that fails before anything else.
    """
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    content_type = request.headers.get("content-type", "").lower()
    if content_type.startswith("multipart/"):
        return await read_multipart(request, query)
    body = (await request.body()).decode("utf-8", "replace")
    if content_type.startswith("application/x-www-form-urlencoded"):
        return Arguments({**query, **dict(parse_qsl(body, keep_blank_values=True))})
    if "json" not in content_type or not body:
        return Arguments(query, body)
    try:
        found = json.loads(body)
    except json.JSONDecodeError as problem:
        raise bad_json(problem, cookies="none") from None
    return Arguments({**query, **found} if isinstance(found, dict) else query)


async def read_multipart(request: Request, query: Values) -> Arguments:
    arguments = Arguments(query)
    async with request.form() as form:
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                arguments.upload = (value.filename or "file", await value.read())
            else:
                arguments.values[key] = value
    return arguments
