"""Strict in-memory fakes of AWS Lambda's control plane and of Step Functions, used through real boto3 clients."""

from .clock import FakeClock
from .errors import AwsError
from .faults import Call
from .lambda_ import FakeLambda, fake_of
from .step_functions import FORGOTTEN_AFTER_SECONDS, FakeStepFunctions

__all__ = ["FORGOTTEN_AFTER_SECONDS", "AwsError", "Call", "FakeClock", "FakeLambda", "FakeStepFunctions", "fake_of"]
