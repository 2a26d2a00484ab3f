"""The variables ``OTEL_EXPORTER_OTLP_*`` of this process; those for traces win over those for all signals.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import math
import os


def variable(name: str) -> tuple[str, str] | None:
    """Return name and value of the variable that counts; an empty one is as good as unset."""
    return _first_set(f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")


def credential_provider(transport: str) -> tuple[str, str] | None:
    """Return the variable that names the entry point of a credential provider, for ``HTTP`` or ``GRPC``."""
    common = f"OTEL_PYTHON_EXPORTER_OTLP_{transport}_"
    return _first_set(f"{common}TRACES_CREDENTIAL_PROVIDER", f"{common}CREDENTIAL_PROVIDER")


def seconds(name: str, default: float) -> float:
    """Read a time; in seconds, as OpenTelemetry's own exporters for Python take it, not in milliseconds."""
    source, text = variable(name) or ("", str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise ValueError(f"{source} is {text!r}; it must be a number of seconds above 0, such as {default:.3g}.")
    return value


def truth(name: str) -> bool | None:
    """Read a variable that is true, false or unset."""
    source, text = variable(name) or ("", "")
    if text.lower() not in {"true", "false", ""}:
        raise ValueError(f"{source} is {text!r}; it must be 'true' or 'false'.")
    return {"true": True, "false": False}.get(text.lower())


def _first_set(*names: str) -> tuple[str, str] | None:
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    return None
