"""Every private name of another library that runspan uses, and why; nothing else imports one.

A test fails when upstream moves one of them. At runtime what needs it is left out then, and a warning is logged.
"""

import functools
import importlib
import logging
from typing import Any, Final, NamedTuple


class PrivateName(NamedTuple):
    """A name that its library does not promise to keep."""

    module: str
    name: str
    reason: str


LOGGER_PROVIDER: Final = PrivateName(
    "opentelemetry._logs",
    "get_logger_provider",
    "The global logger provider has no other access: the whole API for logs is in an underscored package.",
)
SEVERITY_NUMBER: Final = PrivateName(
    "opentelemetry._logs",
    "SeverityNumber",
    "Loggers take a severity as a member of this enum, not as a number.",
)

PRIVATE_NAMES: Final = (LOGGER_PROVIDER, SEVERITY_NUMBER)


@functools.cache
def find(wanted: PrivateName) -> Any | None:
    """Return what a private name stands for; None, and a warning, if it is gone."""
    try:
        return getattr(importlib.import_module(wanted.module), wanted.name)
    except (ImportError, AttributeError):
        logging.getLogger("runspan").warning(
            "%s.%s is gone, so what needs it is left out. %s Please report it, with the output of pip freeze.",
            wanted.module,
            wanted.name,
            wanted.reason,
        )
        return None
