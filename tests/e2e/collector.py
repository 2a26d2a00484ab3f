"""The real Collector."""

from tests.e2e.program import BACKENDS, ROOT, Server, free_addresses

CONFIG = ROOT / "collector-config"


class Collector(Server):
    """The Collector with files of collector-config/, as docker-compose.yml runs it, but for addresses and folders.

    Started again it goes on with its queue. ``grpc`` and ``http`` are the endpoints for applications.
    """

    def __init__(
        self, folder, *, files=("base.yaml", "backends/jaeger.yaml"), name="collector", settings=None, **environment
    ):
        self.address, http, health = free_addresses(3)
        self.grpc, self.http = f"http://{self.address}", f"http://{http}"
        settings = {
            "extensions.health_check.endpoint": health,
            "receivers.otlp.protocols.grpc.endpoint": self.address,
            "receivers.otlp.protocols.http.endpoint": http,
            "service.telemetry.metrics.level": "none",
            **(settings or {}),
        }
        super().__init__(
            [
                BACKENDS / "otelcol-contrib",
                *(f"--config={CONFIG / file}" for file in files),
                *(f"--set={key}={value}" for key, value in settings.items()),
            ],
            log=folder / f"{name}.log",
            health=f"http://{health}/",
            OTELCOL_QUEUE_DIR=folder / f"{name}-queue",
            **environment,
        )

    def endpoint(self, protocol):
        """Return where applications send to that speak a protocol, named as OpenTelemetry does."""
        return self.grpc if protocol == "grpc" else self.http
