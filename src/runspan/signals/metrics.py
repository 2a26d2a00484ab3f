"""Duration and usage of runs, as the GenAI metrics: recorded once for each run, also when its span is not sampled."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
from opentelemetry.trace import Span
from opentelemetry.util.types import AnyValue

from runspan import semconv
from runspan._by_identity import ByIdentity
from runspan._forking import fork_safe_lock
from runspan._version import __version__
from runspan.attributes import Attributes, is_count, is_int64
from runspan.payload.usage import INPUT_MODALITIES, OUTPUT_MODALITIES
from runspan.semconv import metric_names
from runspan.semconv.name_table import description_of
from runspan.semconv.operations import MODEL_OPERATIONS

# How many values a label may have in a process: names of models or tools that are made up for each request would
# otherwise be a time series each.
MOST_VALUES_OF_A_LABEL: Final = 300
OTHER: Final = "_OTHER"

# Boundaries of the conventions.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_SECONDS_OF_AGENTS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_SECONDS_OF_WORKFLOWS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_TOKENS: Final = tuple(4**power for power in range(14))
_CALLS: Final = (1, 2, 4, 8, 16, 32, 64, 128)

_CLIENT: Final = (
    semconv.OPERATION,
    semconv.PROVIDER,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
)
_INFERENCE: Final = (*_CLIENT, semconv.OPENAI_RESPONSE_TIER, semconv.OPENAI_FINGERPRINT)

_Labels = dict[str, str | int]


class _Duration(NamedTuple):
    """How the time of an operation is recorded."""

    metric: str
    boundaries: Sequence[float]
    labels: tuple[str, ...]


_DURATIONS: Final = {
    **dict.fromkeys(MODEL_OPERATIONS, _Duration(metric_names.INFERENCE_DURATION, _SECONDS, _INFERENCE)),
    "embeddings": _Duration(metric_names.EMBEDDINGS_DURATION, _SECONDS, _CLIENT),
    "retrieval": _Duration(metric_names.RETRIEVAL_DURATION, _SECONDS, _CLIENT),
    "execute_tool": _Duration(
        metric_names.TOOL_DURATION, _SECONDS, (semconv.TOOL_NAME, semconv.TOOL_TYPE, semconv.AGENT_NAME)
    ),
    "invoke_agent": _Duration(
        metric_names.AGENT_DURATION, _SECONDS_OF_AGENTS, (semconv.AGENT_NAME, semconv.REQUEST_MODEL)
    ),
    "invoke_workflow": _Duration(metric_names.WORKFLOW_DURATION, _SECONDS_OF_WORKFLOWS, (semconv.WORKFLOW_NAME,)),
}


class RunMetrics:
    """Records duration and usage of a run, once, also when its span is not sampled.

    A label has at most 300 values; those that come later are ``_OTHER``. ``run_metrics`` shares one object for each
    provider, so that this holds for the process.

    Args:
        meter_provider: where the instruments are made, once.
        legacy_names: whether ``gen_ai.client.token.usage`` and ``gen_ai.client.operation.duration`` are recorded for
            models and embeddings, too.
    """

    def __init__(self, meter_provider: MeterProvider, *, legacy_names: bool = False) -> None:
        meter = meter_provider.get_meter("runspan", __version__, semconv.SCHEMA_URL)
        self._bounded = _BoundedLabels()
        self._durations = {
            operation: _histogram(meter, each.metric, "s", each.boundaries) for operation, each in _DURATIONS.items()
        }
        self._chunks = _ChunkMetrics(meter)
        self._tokens = _TokenMetrics(meter)
        self._embedding_tokens = _histogram(meter, metric_names.EMBEDDINGS_TOKENS, "{token}", _TOKENS)
        self._agent_calls = (
            _histogram(meter, metric_names.AGENT_INFERENCES, "{inference_call}", _CALLS),
            _histogram(meter, metric_names.AGENT_TOOL_CALLS, "{tool_call}", _CALLS),
        )
        self._legacy = _LegacyMetrics(meter) if legacy_names else None

    def record(
        self,
        attributes: Attributes,
        seconds: float,
        *,
        chunk_seconds: Sequence[float] = (),
        calls: tuple[int, int] | None = None,
        span: Span | None = None,
    ) -> None:
        """Record a run that has ended; nothing for operations without a metric, such as chains.

        Args:
            attributes: all attributes of the run's span; its operation decides what is recorded.
            seconds: how long it took.
            chunk_seconds: when its chunks came, since its start; none if it did not stream.
            calls: how many models and how many tools an agent itself called.
            span: the run's span, for exemplars; the current one if None.
        """
        operation = attributes.get(semconv.OPERATION)
        if not isinstance(operation, str) or operation not in _DURATIONS:
            return
        context = trace.set_span_in_context(span) if span is not None else None
        labels = self._bounded.pick(attributes, _DURATIONS[operation].labels)
        failed = {**labels, **self._bounded.pick(attributes, (semconv.ERROR_TYPE,))}
        seconds = max(seconds, 0)
        self._durations[operation].record(seconds, failed, context)
        if operation in MODEL_OPERATIONS:
            self._chunks.record(chunk_seconds, labels, context)
            self._tokens.record(attributes, labels, context)
        elif operation == "embeddings":
            _record_count(self._embedding_tokens, attributes.get(semconv.INPUT_TOKENS), labels, context)
        elif operation == "invoke_agent" and calls is not None:
            agent = self._bounded.pick(attributes, (semconv.AGENT_NAME,))
            for histogram, count in zip(self._agent_calls, calls, strict=True):
                histogram.record(count, agent, context)
        if self._legacy is not None and (operation in MODEL_OPERATIONS or operation == "embeddings"):
            self._legacy.record(attributes, seconds, failed, labels, context)


_shared: Final[ByIdentity[MeterProvider, dict[bool, RunMetrics]]] = ByIdentity()
_shared_lock: Final = fork_safe_lock()


def run_metrics(meter_provider: MeterProvider, *, legacy_names: bool = False) -> RunMetrics:
    """Return the metrics of a provider: one object for all handlers, so that one per request costs nothing."""
    made = (_shared.get(meter_provider) or {}).get(legacy_names)
    if made is not None:  # no lock where a run ends: a finalizer may end one in the middle of what follows
        return made
    with _shared_lock:
        of_provider = _shared.setdefault(meter_provider, {})
        if legacy_names not in of_provider:
            of_provider[legacy_names] = RunMetrics(meter_provider, legacy_names=legacy_names)
        return of_provider[legacy_names]


class _BoundedLabels:
    """Picks labels from attributes, each with a bounded number of values."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str | int]] = {}

    def pick(self, attributes: Attributes, names: Iterable[str]) -> _Labels:
        labels: _Labels = {}
        for name in names:
            value = attributes.get(name)
            if type(value) is str or is_int64(value):
                labels[name] = self._bounded(name, value)
        return labels

    def _bounded(self, name: str, value: str | int) -> str | int:
        seen = self._seen.setdefault(name, set())
        if value in seen:
            return value
        # No lock: threads that come here at once may let a few more in.
        if len(seen) >= MOST_VALUES_OF_A_LABEL:
            return OTHER
        seen.add(value)
        return value


class _ChunkMetrics:
    """When the chunks of a stream came."""

    def __init__(self, meter: Meter) -> None:
        self._first = _histogram(meter, metric_names.INFERENCE_FIRST_CHUNK, "s", _SECONDS)
        self._later = _histogram(meter, metric_names.INFERENCE_PER_CHUNK, "s", _SECONDS)

    def record(self, chunk_seconds: Sequence[float], labels: _Labels, context: Context | None) -> None:
        for first in chunk_seconds[:1]:
            self._first.record(max(first, 0), labels, context)
        for before, after in pairwise(chunk_seconds):
            self._later.record(max(after - before, 0), labels, context)


class _TokenCount(NamedTuple):
    """A counter, the attribute with its number, and those of its modalities."""

    metric: str
    total: str
    modalities: Mapping[str, str]


_TOKEN_COUNTS: Final = (
    _TokenCount(metric_names.USED_INPUT_TOKENS, semconv.INPUT_TOKENS, INPUT_MODALITIES),
    _TokenCount(metric_names.USED_OUTPUT_TOKENS, semconv.OUTPUT_TOKENS, OUTPUT_MODALITIES),
    _TokenCount(metric_names.USED_CACHE_READ, semconv.CACHE_READ_TOKENS, {}),
    _TokenCount(metric_names.USED_CACHE_WRITE, semconv.CACHE_WRITE_TOKENS, {}),
    _TokenCount(metric_names.USED_REASONING, semconv.REASONING_TOKENS, {}),
)


class _TokenMetrics:
    """The tokens of a call of a model: counters to add up, histograms to compare calls."""

    def __init__(self, meter: Meter) -> None:
        self._counters = [(_counter(meter, tokens.metric, "{token}"), tokens) for tokens in _TOKEN_COUNTS]
        self._of_calls = (
            (_histogram(meter, metric_names.CALL_INPUT_TOKENS, "{token}", _TOKENS), semconv.INPUT_TOKENS),
            (_histogram(meter, metric_names.CALL_OUTPUT_TOKENS, "{token}", _TOKENS), semconv.OUTPUT_TOKENS),
        )

    def record(self, attributes: Attributes, labels: _Labels, context: Context | None) -> None:
        for counter, tokens in self._counters:
            for modality, count in _by_modality(tokens, attributes).items():
                if count:
                    counter.add(count, {**labels, metric_names.TOKEN_MODALITY: modality}, context)
        for histogram, name in self._of_calls:
            _record_count(histogram, attributes.get(name), labels, context)


def _by_modality(tokens: _TokenCount, attributes: Attributes) -> dict[str, int]:
    """Return a number of tokens by modality; those of no known modality are ``unknown``."""
    total = _count(attributes.get(tokens.total))
    known = {
        modality: count
        for modality, name in tokens.modalities.items()
        if (count := _count(attributes.get(name))) is not None
    }
    if total is None:
        return known
    rest = total - sum(known.values())
    # Parts that exceed the total can't be right.
    return {**known, "unknown": rest} if rest >= 0 else {"unknown": total}


class _LegacyMetrics:
    """Metrics of the conventions until 1.41, for older backends."""

    def __init__(self, meter: Meter) -> None:
        self._duration = _histogram(meter, metric_names.RETRIEVAL_DURATION, "s", _SECONDS)
        self._tokens = _histogram(meter, metric_names.LEGACY_TOKEN_USAGE, "{token}", _TOKENS)

    def record(
        self,
        attributes: Attributes,
        seconds: float,
        failed: _Labels,
        labels: _Labels,
        context: Context | None,
    ) -> None:
        self._duration.record(seconds, failed, context)
        for kind, name in (("input", semconv.INPUT_TOKENS), ("output", semconv.OUTPUT_TOKENS)):
            _record_count(self._tokens, attributes.get(name), {**labels, metric_names.TOKEN_TYPE: kind}, context)


def _record_count(histogram: Histogram, value: AnyValue, labels: _Labels, context: Context | None) -> None:
    count = _count(value)
    if count is not None:
        histogram.record(count, labels, context)


def _count(value: AnyValue) -> int | None:
    return value if is_count(value) else None


def _histogram(meter: Meter, name: str, unit: str, boundaries: Sequence[float]) -> Histogram:
    return meter.create_histogram(name, unit, description_of(name), explicit_bucket_boundaries_advisory=boundaries)


def _counter(meter: Meter, name: str, unit: str) -> Counter:
    return meter.create_counter(name, unit, description_of(name))
