"""A strict in-memory fake of AWS Lambda's control plane, used through a real boto3 client."""

from .clock import FakeClock
from .errors import AwsError
from .faults import Call
from .lambda_ import FakeLambda, fake_of

__all__ = ["AwsError", "Call", "FakeClock", "FakeLambda", "fake_of"]
