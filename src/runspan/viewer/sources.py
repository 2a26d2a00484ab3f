"""Where traces are read from: a file, with what was in it before it was full, or a spool."""

import os
from itertools import chain
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runspan.export.spool import read_spool
from runspan.processors.file import rotated
from runspan.recording.otlp_file import read_recording
from runspan.recording.recorded_span import RecordedSpan


def read_source(path: str | os.PathLike[str]) -> list[RecordedSpan]:
    """Read the spans of a file of OTLP, or those that wait in the folder of a spool, which stay there.

    Raises:
        ValueError: if it is neither; it names the line or byte where it is broken.
        OSError: if it can't be read.
    """
    path = Path(path)
    if path.is_dir():
        return read_recording([ExportTraceServiceRequest.FromString(body) for body in read_spool(path)])
    before = rotated(path)
    paths = [before, path] if before.is_file() else [path]
    spans = chain.from_iterable(map(read_recording, paths))
    return list({(span.trace_id, span.span_id): span for span in spans}.values())
