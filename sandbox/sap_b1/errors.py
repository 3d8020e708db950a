"""How the Service Layer says no: a status, a code, a text. v1 and v2 write it down differently."""

from typing import Any

NOT_FOUND = -2028
NOTHING_FOUND = "No matching records found (ODBC -2028)"
STALE = "Another user or another operation modified data; to continue, open the window again"


class ServiceError(Exception):
    """A refusal; `status` of HTTP, `code` of the vendor."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text

    def body(self, version: str) -> dict[str, Any]:
        if version == "v1":
            return {"error": {"code": self.code, "message": {"lang": "en-us", "value": self.text}}}
        return {"error": {"code": str(self.code), "details": [{"code": "", "message": ""}], "message": self.text}}


def not_found() -> ServiceError:
    """There is no record of that key."""
    return ServiceError(404, NOT_FOUND, NOTHING_FOUND)


def no_reference() -> ServiceError:
    """A write names something that is not there."""
    return ServiceError(400, NOT_FOUND, NOTHING_FOUND)


def no_session() -> ServiceError:
    return ServiceError(401, 301, "Invalid session or session already timeout.")


def unknown_property(name: str, type_name: str) -> ServiceError:
    return ServiceError(400, -1000, f"Property '{name}' of '{type_name}' is invalid")


def malformed(text: str) -> ServiceError:
    """A query or a body nobody can read."""
    return ServiceError(400, 201, text)


def refused(text: str, *, code: int = -10) -> ServiceError:
    """A rule of the business, or of the DI API below the Service Layer."""
    return ServiceError(400, code, text)
