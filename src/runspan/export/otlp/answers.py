"""What a receiver may say to a request, as OTLP tells apart: https://opentelemetry.io/docs/specs/otlp/#failures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The request has arrived, but for the spans that a partial success says were rejected."""

    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """It has not arrived and may be sent again, at the earliest ``after`` seconds from now if the receiver said so."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """It is larger than the receiver takes; ``limit`` is what it takes, in bytes, if it said so."""

    reason: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It must not be sent again."""

    reason: str


Answer = Delivered | Later | TooLarge | Refused
