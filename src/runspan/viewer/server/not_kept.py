"""Metrics and logs: what sends spans by default sends these as well, and would log an error for each refusal."""

from typing import Final

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceServicer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceServicer

_WHY: Final = "runspan ui keeps spans alone; OTEL_METRICS_EXPORTER=none and OTEL_LOGS_EXPORTER=none send nothing else"


def answer_metrics(request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse:
    """Return that none of the data points was kept."""
    metrics = (each for of in request.resource_metrics for scope in of.scope_metrics for each in scope.metrics)
    points = sum(len(getattr(each, kind).data_points) for each in metrics if (kind := each.WhichOneof("data")))
    rejected = ExportMetricsPartialSuccess(rejected_data_points=points, error_message=_WHY)
    return ExportMetricsServiceResponse(partial_success=rejected)


def answer_logs(request: ExportLogsServiceRequest) -> ExportLogsServiceResponse:
    """Return that none of the log records was kept."""
    records = sum(len(scope.log_records) for of in request.resource_logs for scope in of.scope_logs)
    rejected = ExportLogsPartialSuccess(rejected_log_records=records, error_message=_WHY)
    return ExportLogsServiceResponse(partial_success=rejected)


class MetricsReceiver(MetricsServiceServicer):
    """Answers metrics over gRPC."""

    def Export(  # noqa: N802  gRPC's name
        self,
        request: ExportMetricsServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002  gRPC's
    ) -> ExportMetricsServiceResponse:
        """Answer as over HTTP."""
        return answer_metrics(request)


class LogsReceiver(LogsServiceServicer):
    """Answers logs over gRPC."""

    def Export(  # noqa: N802  gRPC's name
        self,
        request: ExportLogsServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002  gRPC's
    ) -> ExportLogsServiceResponse:
        """Answer as over HTTP."""
        return answer_logs(request)
