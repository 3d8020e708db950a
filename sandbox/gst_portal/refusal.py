"""How the portal says no."""


class Refusal(Exception):
    """A request that is refused, with a code of the portal's list."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
