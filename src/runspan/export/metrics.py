"""The counters of delivery as OpenTelemetry metrics, read when a reader collects."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from runspan import semconv
from runspan._forking import fork_safe_lock
from runspan._version import __version__
from runspan.export.alive import stats_by_destination
from runspan.export.counts import Stats

_COUNTERS: Final[Mapping[str, Callable[[Stats], int]]] = {
    semconv.SPANS_TAKEN: lambda stats: stats.taken,
    semconv.SPANS_SENT: lambda stats: stats.sent,
    semconv.SPANS_RETRIED: lambda stats: stats.retried,
    semconv.SPANS_SHORTENED: lambda stats: stats.shortened,
    semconv.SPANS_SPOOLED: lambda stats: stats.spooled,
}
_SAYS: Final = {name.name: name.description for name in semconv.NAMES if name.kind is semconv.NameKind.METRIC}
_UNIT: Final = "{span}"
_observed: WeakSet[MeterProvider] = WeakSet()
_lock = fork_safe_lock()


def observe_deliveries(meter_provider: MeterProvider | None = None) -> None:
    """Have a meter provider, the global one by default, read the counters of all deliveries; once is enough."""
    provider = meter_provider or get_meter_provider()
    with _lock:
        if provider in _observed:
            return
        _observed.add(provider)
    meter = provider.get_meter("runspan.export", __version__)
    for name, number in _COUNTERS.items():
        meter.create_observable_counter(name, [_reader(number)], unit=_UNIT, description=_SAYS[name])
    meter.create_observable_counter(
        semconv.SPANS_DROPPED, [_dropped], unit=_UNIT, description=_SAYS[semconv.SPANS_DROPPED]
    )
    meter.create_observable_up_down_counter(
        semconv.SPANS_WAITING,
        [_reader(lambda stats: stats.waiting)],
        unit=_UNIT,
        description=_SAYS[semconv.SPANS_WAITING],
    )


def _reader(number: Callable[[Stats], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        for destination, stats in stats_by_destination().items():
            yield Observation(number(stats), {semconv.DESTINATION: destination})

    return read


def _dropped(_: CallbackOptions) -> Iterable[Observation]:
    for destination, stats in stats_by_destination().items():
        for why, spans in stats.dropped.items():
            yield Observation(spans, {semconv.DESTINATION: destination, semconv.DROP_REASON: why})
