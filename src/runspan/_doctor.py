"""What is set up in this process, for those whose spans don't arrive."""

from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from runspan._configure import before_configure, configured_handle
from runspan._guard import faults
from runspan._version import __version__
from runspan.export.stats import Stats
from runspan.processors.replaceable import by_provider
from runspan.runs.tracing import providers, runs_begun, runs_begun_without_provider
from runspan.settings import Settings

_UNNAMED = "unknown_service"


def doctor() -> str:
    """Say what is set up in this process and what keeps spans from arriving, each fault with its remedy.

    ``runspan doctor`` on the command line asks the endpoint; this one knows the application: its tracer providers,
    what ``configure`` has delivered, the settings in force and where they come from. Of runs that began too early it
    knows those that had a handler of ours; nothing knows of those without one.

    Returns:
        A text of several lines: ``✓`` is good, ``✕`` is a fault, ``•`` is neither.

    Example:
        >>> print(runspan.doctor())
    """
    return "\n".join((f"• runspan {__version__}", *_providers(), *_runs(), *_delivery(), *_settings(), *_faults()))


def _providers() -> Iterator[str]:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        yield "✕ no tracer provider is set, so spans go nowhere → call runspan.configure() before the first run"
    else:
        yield f"✓ the tracer provider is {_name(provider)}, {_origin(provider)}"
        yield from _resource(provider)
    for other in providers():
        if other is not provider and not isinstance(other, trace.ProxyTracerProvider):
            yield (
                f"✕ a handler made spans with a second provider, {_name(other)}, which is not the global one → give it"
                " no tracer_provider, or the global one; if both are meant, each needs an exporter of its own"
            )


def _origin(provider: trace.TracerProvider) -> str:
    if provider not in by_provider:
        return "set by the application"
    if before_configure().has_provider:
        return "set by the application; runspan.configure() delivers its spans"
    return "set by runspan.configure()"


def _runs() -> Iterator[str]:
    if not any(map(runs_begun, providers())):
        yield (
            "• no run has reached a handler of runspan → pass one to each invocation,"
            ' config={"callbacks": [OpenTelemetryCallbackHandler()]}, or call runspan.instrument() before the first'
        )
    if early := runs_begun_without_provider():
        yield (
            f"✕ {_plural(early)} began while no tracer provider was set, so their spans went nowhere → call"
            " runspan.configure() before the first run"
        )


def _resource(provider: trace.TracerProvider) -> Iterator[str]:
    resource = getattr(provider, "resource", None) if isinstance(provider, TracerProvider) else None
    name = str(resource.attributes.get("service.name", "")) if resource is not None else ""
    if name.startswith(_UNNAMED):
        yield f"• the service is {name} → configure(service_name=...) or OTEL_SERVICE_NAME"
    elif name:
        yield f"✓ the service is {name}"


def _delivery() -> Iterator[str]:
    handle = configured_handle()
    if handle is None:
        yield "• runspan.configure() was not called: what exports spans is the application's own"
        return
    if not handle.is_open:
        yield "✕ the handle of runspan.configure() was shut down, so nothing is delivered → call configure() again"
    if handle.tracer_provider is not trace.get_tracer_provider():
        yield (
            "✕ runspan.configure() delivers the spans of a provider that is not the global one → call configure() after"
            " the application has set its provider"
        )
    yield from _before()
    stats = handle.stats()
    yield f"{'✕' if stats.dropped else '•'} {_counted(stats)}"


def _before() -> Iterator[str]:
    before = before_configure()
    if before.runs:
        yield (
            f"✕ {_plural(before.runs)} began before runspan.configure() was called; it delivers no span that had ended"
            " by then → call it before the first run"
        )
    if before.ignores_resource:
        yield (
            "✕ a tracer provider was set before runspan.configure() was called, so its service_name and"
            " resource_attributes have no effect → give them where that provider is made"
        )


def _counted(stats: Stats) -> str:
    dropped = ", ".join(f"{number} dropped ({reason})" for reason, number in stats.dropped.items()) or "none dropped"
    return f"spans: {stats.taken} taken, {stats.sent} sent, {stats.waiting} waiting, {stats.spooled} spooled, {dropped}"


def _settings() -> Iterator[str]:
    for name, option in Settings().describe().items():
        if option.source != "default":
            yield f"• {name} is {option.value!r}, by {option.source}"
    yield "• all other settings of the environment are the defaults; handler.describe() has those of a handler"


def _faults() -> Iterator[str]:
    if number := faults():
        yield f"✕ {number} errors of payloads or listeners were kept from the application → see the log of 'runspan'"


def _plural(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs:,} runs"


def _name(provider: object) -> str:
    return f"{type(provider).__module__}.{type(provider).__qualname__}"
