"""How Metakocka refuses: HTTP 200, an `opr_code`, and its own spelling."""

from typing import Any

UNKNOWN_ERROR = "1"
BAD_PARAMETER = "2"
BAD_KEY = "3"
BAD_ADDRESS = "4"
QUOTA = "5"
BUSINESS_RULE = "6"


class Refusal(Exception):
    """An answer that is no success: `more` goes into it too."""

    def __init__(self, code: str, text: str, **more: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.more = more


def required(parameter: str) -> Refusal:
    return Refusal(BAD_PARAMETER, f"Paramether '{parameter}' is required paramether")


def invalid(parameter: str, value: object, valid: object = None) -> Refusal:
    known = f". Valid values : {','.join(valid)}" if isinstance(valid, list | tuple) else ""
    return Refusal(BAD_PARAMETER, f"Paramether '{parameter}' has invalid value : {value}{known}")
