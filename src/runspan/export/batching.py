import os
from typing import TypedDict


class Batching(TypedDict):
    """How a processor queues spans and makes batches of them."""

    max_queue_size: int
    max_batch_size: int
    schedule_delay_seconds: float


def batching_from_environment() -> Batching:
    """Read the ``OTEL_BSP_*`` variables.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor

    Raises:
        ValueError: A variable has a value that can't be used.
    """
    return {
        "max_queue_size": _positive("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
        "max_batch_size": _positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        "schedule_delay_seconds": _positive("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
    }


def _positive(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{variable} is {text!r}; it must be a whole number above 0.")
    return int(text)
