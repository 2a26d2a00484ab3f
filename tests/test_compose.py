"""What `docker compose up` will meet, read from the files: no engine, no network."""

import json
import re
from functools import reduce
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"


def with_defaults(text):
    """Replace each `${NAME:-default}` by its default, as Compose does where nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


SERVICES = yaml.safe_load(with_defaults(COMPOSE.read_text()))["services"]
MOUNTS = [
    (name, ROOT / source, PurePosixPath(target))
    for name, service in SERVICES.items()
    for source, target, *_ in (volume.split(":") for volume in service.get("volumes", []))
    if source.startswith(".")
]


def on_host(service, path):
    """Return the file of the repository that the service sees at the path."""
    for name, source, target in MOUNTS:
        if name == service and PurePosixPath(path).is_relative_to(target):
            return source / PurePosixPath(path).relative_to(target)
    raise LookupError(f"{service} reads {path}, which nothing mounts")


def config_files(service):
    """Return the files that the service's command line names with --config, in their order."""
    command = SERVICES[service].get("command", [])
    return [on_host(service, word.removeprefix("--config=")) for word in command if word.startswith("--config=")]


def merge(first, later):
    """Merge two configurations as the Collector does: maps by key, everything else replaced."""
    if not (isinstance(first, dict) and isinstance(later, dict)):
        return later
    return first | {key: merge(first[key], value) if key in first else value for key, value in later.items()}


def configuration(service):
    """Return what the service makes of its files together."""
    return reduce(merge, [yaml.safe_load(path.read_text()) for path in config_files(service)])


CONFIGURED = [service for service in SERVICES if config_files(service)]


@pytest.fixture(params=CONFIGURED)
def config(request):
    return configuration(request.param)


def test_every_service_that_moves_spans_is_checked_here():
    """The Collector and Jaeger take their configuration from files named on their command lines."""
    assert CONFIGURED == ["jaeger", "otel-collector"]


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
    }


@pytest.mark.parametrize(("service", "source", "target"), MOUNTS)
def test_mounted_files_exist(service, source, target):
    """Docker would make an empty directory, owned by root, of a mounted path that is missing."""
    assert source.exists()


@pytest.mark.parametrize("service", CONFIGURED)
def test_named_configuration_files_exist(service):
    """Each --config names a file of the repository."""
    assert [path for path in config_files(service) if not path.is_file()] == []


def test_jaeger_finds_its_ui_configuration():
    """The path in Jaeger's configuration is a mounted file, and that file is JSON."""
    ui = on_host("jaeger", configuration("jaeger")["extensions"]["jaeger_query"]["ui"]["config_file"])
    assert isinstance(json.loads(ui.read_text()), dict)


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


def test_up_wait_returns_when_spans_can_be_sent():
    """Every service of `up --wait` has a health check, is checked by another, or is awaited until it completes."""
    unchecked = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert unchecked == {"volume-init", "otel-collector"}
    assert "http://otel-collector:13133/" in SERVICES["collector-ready"]["healthcheck"]["test"]
    awaited = SERVICES["otel-collector"]["depends_on"]["volume-init"]
    assert awaited == {"condition": "service_completed_successfully"}


def test_ids_in_pipelines_are_defined(config):
    """What a pipeline names is defined in the merged files; a connector may stand at either end."""
    connectors = set(config.get("connectors", {}))
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["receivers"]) <= set(config["receivers"]) | connectors
        assert set(pipeline.get("processors", [])) <= set(config.get("processors", {}))
        assert set(pipeline["exporters"]) <= set(config["exporters"]) | connectors


def test_connectors_have_both_ends(config):
    """A connector that only one pipeline knows keeps the Collector from starting."""
    pipelines = config["service"]["pipelines"].values()
    into = {name for pipeline in pipelines for name in pipeline["exporters"]}
    out_of = {name for pipeline in pipelines for name in pipeline["receivers"]}
    assert set(config.get("connectors", {})) <= into & out_of


def test_extensions_are_both_defined_and_started(config):
    """An extension counts only if it is listed, and a list in a later file replaces the earlier one."""
    assert sorted(config["service"]["extensions"]) == sorted(config["extensions"])


def test_queues_are_kept_on_disk_and_retried_for_ever():
    """Each exporter of the Collector survives its restart and an outage of any length."""
    for exporter in configuration("otel-collector")["exporters"].values():
        assert exporter["sending_queue"]["storage"] == "file_storage/queue"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_size_limits_grow_on_the_way_to_jaeger():
    """The largest batch, one request and what was waiting, fits into what Jaeger takes."""
    collector, jaeger = configuration("otel-collector"), configuration("jaeger")
    protocols = collector["receivers"]["otlp"]["protocols"]
    request = max(protocols["grpc"]["max_recv_msg_size_mib"] << 20, protocols["http"]["max_request_body_size"])
    batch = collector["exporters"]["otlp_grpc/jaeger"]["sending_queue"]["batch"]
    assert "max_size" not in batch
    assert batch["min_size"] + request < jaeger["receivers"]["otlp"]["protocols"]["grpc"]["max_recv_msg_size_mib"] << 20
