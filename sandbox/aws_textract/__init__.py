"""Amazon Textract's synchronous reading, on its own wire: AWS JSON 1.1, signed with Signature Version 4."""

from sandbox.aws_textract.api import create_app
from sandbox.aws_textract.control import control_routes
from sandbox.aws_textract.state import Textract, seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "aws_textract"


def counts(textract: Textract) -> dict[str, int]:
    """How many objects its S3 has."""
    return {"object": len(textract.objects)}
