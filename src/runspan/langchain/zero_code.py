"""A handler for every run of the process, by LangChain's public configure hook."""

import functools
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.tracers.context import register_configure_hook
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from runspan._forking import fork_safe_lock
from runspan.langchain.handler import OpenTelemetryCallbackHandler
from runspan.settings import Settings, checked_settings

if TYPE_CHECKING:
    from contextvars import ContextVar

_lock: Final = fork_safe_lock()


class _Present:
    """The handler that LangChain adds to each run now, in whatever context; LangChain asks a context variable alike."""

    def __init__(self) -> None:
        self.handler: OpenTelemetryCallbackHandler | None = None

    def get(self) -> OpenTelemetryCallbackHandler | None:
        """Return the handler, None while there is none."""
        return self.handler


_present: Final = _Present()


class AddedHandler(OpenTelemetryCallbackHandler):
    """A handler that nobody passes to a run; LangChain adds it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._bridge.added = self


class _HandlerOfAll(AddedHandler):
    """The handler of every run of the process.

    Unless somebody decided about content, it records none, and leaves the decision to the handlers that are passed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        logger_provider: object | None,
        settings: Settings | None,
    ) -> None:
        chosen = checked_settings(settings)
        is_decided = chosen.describe()["capture_content"].source != "default"
        super().__init__(
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            settings=chosen if is_decided else chosen.model_copy(update={"capture_content": "none"}),
        )
        self._bridge.decides_content = is_decided


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: object | None = None,
    settings: Settings | None = None,
) -> OpenTelemetryCallbackHandler:
    """Trace every LangChain and LangGraph run of this process that starts from now on, without passing a handler.

    This is what ``opentelemetry-instrument`` does. Nothing is patched: LangChain adds the handler to each run. A run
    that is given another runspan handler still has one span. Content is recorded only if ``capture_content`` is given,
    here or by its variable; by default only the handlers that runs are given decide.

    Args:
        tracer_provider: where spans start; the global provider, whichever it is by then, if None.
        meter_provider: where metrics go, likewise.
        logger_provider: where events go, likewise.
        settings: what to record; from the environment if None.

    Returns:
        The handler that LangChain adds; the first one if this is called again.

    Raises:
        TypeError: if an argument is of another kind.
        ValueError: if an environment variable has a value that is not allowed.

    Example:
        >>> runspan.configure(service_name="shop")
        >>> runspan.instrument()
        >>> chain.invoke({"number": "2"})
    """
    with _lock:
        if _present.handler is not None:
            logging.getLogger("runspan").warning(
                "instrument() was called again: the first call stays in force. To change something, call uninstrument()"
                " first."
            )
            return _present.handler
        handler = _HandlerOfAll(
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            settings=settings,
        )
        _register_once()
        _present.handler = handler
        return handler


def uninstrument() -> None:
    """Stop adding the handler of ``instrument`` to runs; what has begun is traced to its end.

    Example:
        >>> runspan.uninstrument()
    """
    with _lock:
        _present.handler = None


@functools.cache
def _register_once() -> None:
    # A hook can't be taken back, so there is one, and it asks each time. A context variable would hold in one context,
    # and this is for all threads and tasks; of what it is given LangChain calls get() alone.
    register_configure_hook(cast("ContextVar[Any]", _present), inheritable=True)
