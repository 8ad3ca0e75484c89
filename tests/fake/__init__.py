"""Strict in-memory fakes of AWS: Lambda's control plane, Step Functions, and in modules of their own CloudFormation, DynamoDB, S3
and CloudWatch Logs. Used through boto3's clients, by HTTP or directly (see `direct`).
"""

from .clock import FakeClock
from .errors import AwsError
from .faults import Call
from .lambda_ import FakeLambda, fake_of
from .step_functions import FORGOTTEN_AFTER_SECONDS, FakeStepFunctions

__all__ = ["FORGOTTEN_AFTER_SECONDS", "AwsError", "Call", "FakeClock", "FakeLambda", "FakeStepFunctions", "fake_of"]
