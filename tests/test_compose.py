"""What `docker compose up` will meet, read from the files: no engine, no network."""

import json
import re

import pytest
import yaml

from tests.compose_file import (
    COLLECTOR_CONFIG,
    CONFIGURED,
    MOUNTS,
    PROFILES,
    SERVICES,
    config_files,
    configuration,
    every_choice,
    of_profile,
    on_host,
)

BASIC = {"volume-init", "jaeger", "otel-collector", "collector-ready"}


def test_profiles_only_add_services():
    """`docker compose up` runs Jaeger and one Collector; each profile brings what it is named for."""
    assert {profile: of_profile(profile) - BASIC for profile in PROFILES} == {
        None: set(),
        "metrics": {"prometheus"},
        "sampling": {"sampler"},
        "scale": {"kafka", "balancer", "sampler", "sampler-2", "clickhouse"},
    }
    assert of_profile(None) == BASIC


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_only(service):
    """OTLP and Jaeger ask for no password, so no other machine reaches them."""
    ports = SERVICES[service].get("ports", [])
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service):
    """An image's tag is one exact version."""
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])


def test_the_standard_ports_lead_to_the_collector_and_the_ui():
    """Without settings OTLP arrives at 4317 and 4318, and the traces are seen at 16686."""
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "jaeger": ["127.0.0.1:16686:16686"],
        "otel-collector": ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318"],
        "prometheus": ["127.0.0.1:9090:9090"],
    }


@pytest.mark.parametrize(("service", "source", "target"), MOUNTS)
def test_mounted_files_exist(service, source, target):
    """Docker would make an empty directory, owned by root, of a mounted path that is missing."""
    assert source.exists()


def test_every_service_that_moves_spans_names_its_files():
    """The Collectors and Jaeger take their configuration from files named on their command lines."""
    assert {
        service: [str(path.relative_to(COLLECTOR_CONFIG)) for path in config_files(service)] for service in CONFIGURED
    } == {
        "jaeger": ["jaeger/config.yaml", "jaeger/memory.yaml"],
        "otel-collector": ["base.yaml", "metrics.yaml", "backends/jaeger.yaml"],
        "sampler": ["base.yaml", "sampling.yaml", "backends/jaeger.yaml"],
        "sampler-2": ["base.yaml", "sampling.yaml", "backends/jaeger.yaml"],
        "balancer": ["base.yaml", "from-kafka.yaml", "backends/sampler.yaml"],
    }


def test_every_configuration_file_is_used():
    """No file of collector-config/ is left that no choice of variables loads, but for those named within files."""
    used = {path for service in CONFIGURED for files in every_choice(service) for path in files}
    assert set(COLLECTOR_CONFIG.rglob("*.yaml")) - used == set()


def test_each_backend_may_ask_for_its_variables():
    """What a file of backends/ reads from the environment is passed on to each Collector that may use it."""
    addresses_within = {"JAEGER_OTLP_ENDPOINT", "KAFKA_BROKER", "SAMPLERS", "OTELCOL_FILE"}
    backends = (COLLECTOR_CONFIG / "backends").glob("*.yaml")
    asked = {name for path in backends for name in re.findall(r"\$\{env:(\w+)", path.read_text())}
    for service in ("otel-collector", "sampler", "sampler-2"):
        assert asked - addresses_within - set(SERVICES[service]["environment"]) == set()


def test_jaeger_finds_its_ui_configuration():
    """The path in Jaeger's configuration is a mounted file, and that file is JSON."""
    jaeger = configuration(config_files("jaeger"))
    ui = on_host("jaeger", jaeger["extensions"]["jaeger_query"]["ui"]["config_file"])
    assert isinstance(json.loads(ui.read_text()), dict)


def test_prometheus_scrapes_what_the_collector_offers():
    """Prometheus asks the service and the ports at which the Collector tells of spans, and of itself."""
    scraped = yaml.safe_load((COLLECTOR_CONFIG / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert [target for job in scraped for config in job["static_configs"] for target in config["targets"]] == [
        "otel-collector:8889",
        "otel-collector:8888",
    ]
    collector = configuration(config_files("otel-collector"))
    assert collector["exporters"]["prometheus"]["endpoint"] == "0.0.0.0:8889"
    (reader,) = collector["service"]["telemetry"]["metrics"]["readers"]
    assert reader["pull"]["exporter"]["prometheus"] == {"host": "0.0.0.0", "port": 8888}  # noqa: S104  the container's


def test_no_two_collectors_share_a_queue():
    """A queue's file is locked by its owner: each Collector on the volume has a folder of its own."""
    folders = [
        SERVICES[service]["environment"].get("OTELCOL_QUEUE_DIR") for service in CONFIGURED if service != "jaeger"
    ]
    assert len(set(folders)) == len(folders)


def test_the_balancer_knows_every_sampler():
    """Each service that samples at scale gets its share of the traces."""
    samplers = yaml.safe_load(SERVICES["balancer"]["environment"]["SAMPLERS"])
    assert samplers == [f"{name}:4317" for name in CONFIGURED if name.startswith("sampler")]


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_waits_for_can_happen(service):
    """Only a service with a health check becomes healthy, and only one that is not restarted completes."""
    for awaited, how in SERVICES[service].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[awaited]
        elif how["condition"] == "service_completed_successfully":
            assert SERVICES[awaited]["restart"] == "no"
        else:
            assert how["condition"] == "service_started"
            assert awaited in SERVICES


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_waits_for_a_service_of_another_profile(profile):
    """What a service waits for runs in each of its own profiles, or may be missing."""
    running = of_profile(profile)
    for service in running:
        for awaited, how in SERVICES[service].get("depends_on", {}).items():
            assert awaited in running or how.get("required") is False


def test_up_wait_returns_when_spans_can_be_sent():
    """Every service of `up --wait` has a health check, is checked by another, or is awaited until it completes."""
    unchecked = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    behind = {"sampler", "sampler-2", "balancer"}  # who sends to them keeps what they can't take yet
    assert unchecked == {"volume-init", "otel-collector"} | behind
    assert "http://otel-collector:13133/" in SERVICES["collector-ready"]["healthcheck"]["test"]
    awaited = SERVICES["otel-collector"]["depends_on"]["volume-init"]
    assert awaited == {"condition": "service_completed_successfully"}
