"""A sweep's lines in the log, and its metrics in CloudWatch's embedded format. Must not decide anything."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from stagekeeper.engine.telemetry import SweepTold


class PowertoolsTelemetry:
    """The metrics go out with the handler's own, when it returns."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics

    def swept(self, told: SweepTold) -> None:
        """One line per version, whatever became of it; the sums as metrics."""
        for judged in told.judged:
            verdict = judged.verdict
            self._logger.info(
                "version",
                extra={
                    "sweep": told.sweep,
                    "service": judged.service,
                    "function": verdict.function,
                    "arn": verdict.arn,
                    "version": str(verdict.version),
                    "unneeded": verdict.remove,
                    "deleted": verdict.remove and told.deleted,
                    "reason": verdict.reason,
                    "bytes": verdict.size,
                },
            )
        removed = [judged.verdict for judged in told.judged if judged.verdict.remove]
        deleted = removed if told.deleted else []
        for name, unit, value in (
            ("VersionsKept", MetricUnit.Count, len(told.judged) - len(deleted)),
            ("VersionsDeleted", MetricUnit.Count, len(deleted)),
            ("BytesFreed", MetricUnit.Bytes, sum(verdict.size for verdict in deleted)),
            ("SweepFailures", MetricUnit.Count, told.failures),
            ("ServicesLeftOut", MetricUnit.Count, told.left_out),
        ):
            self._metrics.add_metric(name=name, unit=unit, value=value)
