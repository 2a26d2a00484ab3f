"""What OpenTelemetry's variables say to all of runspan."""

import os


def is_sdk_disabled() -> bool:
    """Return whether ``OTEL_SDK_DISABLED`` turns all spans off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
