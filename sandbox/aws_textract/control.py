"""The side door: objects of S3, readings that are prepared, and throttling."""

import base64
import binascii

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.aws_textract.state import Textract
from sandbox.control import body_of, refusing

CODES = ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError")


def control_routes(textract: Textract) -> list[Route]:
    """Routes below `/_sandbox/aws_textract/`: objects, readings, throttle."""
    door = Door(textract)
    posts = {"objects": door.put_object, "readings": door.prepare, "throttle": door.throttle}
    return [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]


class Door:
    """The handlers."""

    def __init__(self, textract: Textract) -> None:
        self.textract = textract

    async def put_object(self, request: Request) -> Response:
        """Put an object into S3: {bucket, key, version, content}, the content in base64."""
        given = await body_of(request)
        try:
            content = base64.b64decode(given["content"], validate=True)
        except (KeyError, TypeError, binascii.Error, ValueError):
            raise ValueError("content is the object in base64.") from None
        self.textract.objects[(given.get("bucket"), given.get("key"), given.get("version"))] = content
        return JSONResponse({"bytes": len(content)})

    async def prepare(self, request: Request) -> Response:
        """What an operation answers for a document: {sha256, operation, answer}."""
        given = await body_of(request)
        self.textract.readings[(given.get("sha256"), given.get("operation"))] = given.get("answer")
        return JSONResponse({"prepared": len(self.textract.readings)})

    async def throttle(self, request: Request) -> Response:
        """Answer the next requests with errors: {code, times}."""
        given = await body_of(request)
        if given.get("code") not in CODES or not isinstance(given.get("times"), int):
            raise ValueError(f"code is one of {', '.join(CODES)}, and times a whole number.")
        self.textract.throttled = [given["code"]] * given["times"]
        return JSONResponse({"throttled": len(self.textract.throttled)})
