"""Spans and metrics of embeddings: LangChain has no callbacks for them, so the object is wrapped."""

import copy
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from langchain_core.embeddings import Embeddings
from opentelemetry import context as otel
from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AnyValue

from runspan import semconv
from runspan._guard import attempt
from runspan._version import __version__
from runspan.arguments import check_provider, shown
from runspan.payload import error_message, failure
from runspan.payload.constructed import server
from runspan.payload.providers import embeddings_provider
from runspan.payload.text import name_in
from runspan.payload.writer import Writer
from runspan.settings import Settings, checked_settings
from runspan.signals.metrics import RunMetrics, run_metrics

# Set in a context by who wants no spans there.
_SUPPRESSED: Final = "suppress_instrumentation"
# Where LangChain's classes keep the model's name.
_MODEL_NAMES: Final = ("model", "model_name", "model_id", "deployment")
# LangChain's packages that have classes of no provider.
_NO_PROVIDERS: Final = frozenset(("langchain_core", "langchain_classic", "langchain_tests"))


def trace_embeddings(
    embeddings: Embeddings,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    settings: Settings | None = None,
) -> Embeddings:
    """Make every call of an embeddings model a span, below whatever is current.

    Args:
        embeddings: any LangChain embeddings.
        tracer_provider: where spans start; the global provider if None.
        meter_provider: where metrics are recorded; the global provider if None.
        settings: whether texts of errors are recorded; from the environment if None.

    Returns:
        Embeddings that do what the given ones do and have their attributes. The texts are not recorded.

    Raises:
        TypeError: if an argument is of another kind; it names the value.
        ValueError: if an environment variable has a value that is not allowed.

    Example:
        ``store = InMemoryVectorStore(runspan.trace_embeddings(OpenAIEmbeddings()))``
    """
    if isinstance(embeddings, _TracedEmbeddings):
        return embeddings
    if not isinstance(embeddings, Embeddings):
        raise TypeError(
            f"trace_embeddings() was given {shown(embeddings)}, which is no langchain_core.embeddings.Embeddings;"
            " pass an instance of a class derived from it"
        )
    check_provider("tracer_provider", tracer_provider, "get_tracer", "TracerProvider")
    check_provider("meter_provider", meter_provider, "get_meter", "MeterProvider")
    return _traced(
        embeddings,
        trace.get_tracer("runspan", __version__, tracer_provider),
        run_metrics(meter_provider or metrics.get_meter_provider()),
        checked_settings(settings),
    )


def _traced(embeddings: Embeddings, tracer: Tracer, run_metrics: RunMetrics, settings: Settings) -> "_TracedEmbeddings":
    # Retrievers tell their embeddings by the name of the class.
    kind: type[_TracedEmbeddings] = type(type(embeddings).__name__, (_TracedEmbeddings,), {})
    return kind(embeddings, tracer, run_metrics, settings)


class _TracedEmbeddings(Embeddings):
    """Embeddings whose calls are spans."""

    def __init__(self, embeddings: Embeddings, tracer: Tracer, run_metrics: RunMetrics, settings: Settings) -> None:
        self._embeddings = embeddings
        self._tracer = tracer
        self._metrics = run_metrics
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embeddings, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make it again: its class can't be imported."""
        return _traced, (self._embeddings, self._tracer, self._metrics, self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a traced copy, whose spans start where those of this one do."""
        return type(self)(copy.deepcopy(self._embeddings, memo), self._tracer, self._metrics, self._settings)

    def __repr__(self) -> str:
        return f"trace_embeddings({self._embeddings!r})"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts."""
        with self._start_span(texts) as span:
            return span.note_vectors(self._embeddings.embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """Embed a text."""
        with self._start_span((text,)) as span:
            return span.note_vectors([self._embeddings.embed_query(text)])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts."""
        with self._start_span(texts) as span:
            return span.note_vectors(await self._embeddings.aembed_documents(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a text."""
        with self._start_span((text,)) as span:
            return span.note_vectors([await self._embeddings.aembed_query(text)])[0]

    def _start_span(self, texts: Sequence[str]) -> "_EmbeddingSpan":
        is_suppressed = otel.get_current().get(_SUPPRESSED)
        tracer = NoOpTracer() if is_suppressed else self._tracer
        nothing: dict[str, AnyValue] = {semconv.OPERATION: "embeddings"}
        attributes = attempt(_describe, self._embeddings, texts, default=nothing)
        return _EmbeddingSpan(tracer, self._metrics, attributes, self._settings)


class _EmbeddingSpan:
    """A call as a span, which is current within."""

    def __init__(
        self, tracer: Tracer, run_metrics: RunMetrics, attributes: dict[str, AnyValue], settings: Settings
    ) -> None:
        model = attributes.get(semconv.REQUEST_MODEL)
        self._attributes = attributes
        self._metrics = run_metrics
        self._settings = settings
        self._block = tracer.start_as_current_span(
            f"embeddings {model}" if model else "embeddings",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def __enter__(self) -> Self:
        self._span = self._block.__enter__()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            attempt(self._fail, error, default=None)
        seconds = time.perf_counter() - self._started
        attempt(self._record, seconds, default=None)
        self._block.__exit__(kind, error, traceback)

    def note_vectors(self, vectors: list[list[float]]) -> list[list[float]]:
        """Note what was returned, and return it."""
        attempt(self._note, vectors, default=None)
        return vectors

    def _note(self, vectors: list[list[float]]) -> None:
        if len(vectors):
            self._span.set_attribute(semconv.EMBEDDING_DIMENSIONS, len(vectors[0]))

    def _fail(self, error: BaseException) -> None:
        described = failure(error)
        if described.outcome != "error":
            self._span.set_attribute(semconv.RUN_OUTCOME, described.outcome)
            return
        self._attributes[semconv.ERROR_TYPE] = described.error_type
        self._span.set_attribute(semconv.ERROR_TYPE, described.error_type)
        self._span.set_status(StatusCode.ERROR, _shown(error, self._settings))

    def _record(self, seconds: float) -> None:
        self._metrics.record(self._attributes, seconds, span=self._span)


def _shown(error: BaseException, settings: Settings) -> str | None:
    """Return what may be seen of the text of an error."""
    if "span" not in settings.content_destinations:
        return None
    write = Writer(attribute_bytes=settings.max_attribute_bytes, redactors=settings.redactors)
    return str(write.message(error_message(error)).get(semconv.EXCEPTION_MESSAGE, ""))


def _describe(embeddings: Embeddings, texts: Sequence[str]) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {semconv.OPERATION: "embeddings"}
    if isinstance(texts, list | tuple):
        attributes[semconv.EMBEDDING_INPUTS] = len(texts)
    if name := _provider(type(embeddings)):
        attributes[semconv.PROVIDER] = name
    if model := _model(embeddings):
        attributes[semconv.REQUEST_MODEL] = model
    attributes.update(attempt(server, getattr(embeddings, "__dict__", None), default={}))
    return attributes


def _model(embeddings: Embeddings) -> str | None:
    for name in _MODEL_NAMES:
        if model := name_in(attempt(getattr, embeddings, name, None, default=None)):
            return model
    return None


def _provider(kind: type[Embeddings]) -> str | None:
    """Return the provider by the first class that one of LangChain's packages has; those of users name none."""
    for each in kind.__mro__:
        package = each.__module__.partition(".")[0]
        if package.startswith("langchain_") and package not in _NO_PROVIDERS:
            return embeddings_provider(each.__name__)
    return None
