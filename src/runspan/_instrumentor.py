"""What ``opentelemetry-instrument`` finds: zero code for LangChain."""

from collections.abc import Collection
from typing import Any, Final

try:
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # its file says that it is not to be checked
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"RunspanInstrumentor needs {error.name}. Install it: pip install opentelemetry-distro; or call"
        " runspan.instrument(), which needs nothing else.",
        name=error.name,
    ) from None

from runspan.langchain.zero_code import instrument, uninstrument

_INSTRUMENTED: Final = ("langchain-core >= 1.0",)


class RunspanInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # the same
    """Trace every LangChain and LangGraph run of the process, in the manner of OpenTelemetry's other instrumentors.

    ``opentelemetry-instrument python app.py`` finds it by itself. ``instrument`` takes what ``runspan.instrument``
    does, ``uninstrument`` ends it.

    Example:
        >>> RunspanInstrumentor().instrument(settings=Settings(capture_content="span"))
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed."""
        return _INSTRUMENTED

    def _instrument(self, **kwargs: Any) -> None:
        instrument(**kwargs)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002  the interface
        uninstrument()
