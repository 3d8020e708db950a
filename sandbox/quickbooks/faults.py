"""The vendor's refusals: HTTP status, type, code and texts of its catalogue."""

from collections.abc import Mapping
from typing import Any

VALIDATION = "ValidationFault"


class Refused(Exception):
    """One error of the catalogue. `status` is HTTP's; `element` the field it is about."""

    def __init__(
        self,
        code: str,
        message: str,
        detail: str = "",
        *,
        status: int = 400,
        kind: str = VALIDATION,
        element: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.error = {"Message": message, "Detail": detail or message, "code": code}
        if element is not None:
            self.error["element"] = element

    def fault(self) -> Mapping[str, Any]:
        return {"Error": [self.error], "type": self.kind}


def not_found(what: str) -> Refused:
    return Refused("610", "Object Not Found", f"Object Not Found : {what} was made inactive. Check the fields.")


def unsupported(field: str) -> Refused:
    text = "Request has invalid or unsupported property"
    return Refused("2010", text, f"{text} : Property Name:{field} specified is unsupported or invalid", element=field)


def required(field: str) -> Refused:
    text = "Required param missing, need to supply the required value for the API"
    return Refused("2020", text, f"{text} : Required parameter {field} is missing in the request", element=field)


def invalid_reference(field: str, value: object) -> Refused:
    detail = f"Invalid Reference Id : {field} element id {value} not found"
    return Refused("2500", "Invalid Reference Id", detail, element=field)


def parse_error(detail: str) -> Refused:
    return Refused("4000", "Error parsing query", f"QueryParserError: {detail}")


def invalid_query(detail: str) -> Refused:
    return Refused("4001", "Invalid query", f"QueryValidationError: {detail}")


def stale() -> Refused:
    detail = (
        "Stale Object Error : You and another user were working on this at the same time. "
        "The other user finished before you did, so your work was not saved."
    )
    return Refused("5010", "Stale Object Error", detail)


def business(detail: str, element: str | None = None) -> Refused:
    text = "A business validation error has occurred while processing your request"
    return Refused("6000", text, f"Business Validation Error: {detail}", element=element)


def duplicate_number(number: str, owner: str) -> Refused:
    detail = f"Duplicate Document Number Error : You must specify a different number. {number} is used. : Id={owner}"
    return Refused("6140", "Duplicate Document Number Error", detail, element="DocNumber")


def duplicate_name(owner: str) -> Refused:
    detail = f"The name supplied already exists. : Id={owner}"
    return Refused("6240", "Duplicate Name Exists Error", detail)


def unauthenticated() -> Refused:
    return Refused(
        "3200",
        "message=AuthenticationFailed; errorCode=003200; statusCode=401",
        "Token expired or invalid",
        status=401,
        kind="AuthenticationFault",
    )


def wrong_company() -> Refused:
    return Refused(
        "3100",
        "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403",
        "The application is not authorized for this company",
        status=403,
        kind="AuthorizationFault",
    )


def throttled() -> Refused:
    return Refused(
        "3001",
        "message=ThrottleExceeded; errorCode=003001; statusCode=429",
        "The request limit was reached.  Try again later",
        status=429,
        kind="SERVICE",
    )


def broken(detail: str) -> Refused:
    text = "An application error has occurred while processing your request"
    return Refused("10000", text, detail, status=500, kind="SystemFault")
