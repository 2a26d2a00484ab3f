"""What the configurations of the Collector and Jaeger come to, for every choice that docker-compose.yml leaves."""

import pytest

from tests.compose_file import COLLECTOR_CONFIG, CONFIGURED, config_files, configuration, every_choice

CHOICES = {
    " ".join([service, *(path.stem for path in files)]): files
    for service in CONFIGURED
    for files in every_choice(service)
}
COLLECTORS = [name for name in CHOICES if not name.startswith("jaeger ")]


@pytest.fixture(params=CHOICES)
def config(request):
    return configuration(CHOICES[request.param])


@pytest.fixture(params=COLLECTORS)
def collector(request):
    return configuration(CHOICES[request.param])


def exporters_used(config):
    """Return the exporters that the pipelines of spans name."""
    pipelines = config["service"]["pipelines"]
    names = {name for key, pipeline in pipelines.items() if key.startswith("traces") for name in pipeline["exporters"]}
    return {name: config["exporters"][name] for name in names if name in config["exporters"]}


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


def test_queues_are_kept_on_disk_and_retried_for_ever(collector):
    """Each exporter that sends spans survives its restart and an outage of any length; a file needs no queue."""
    for name, exporter in exporters_used(collector).items():
        if name != "file/out":
            assert exporter["sending_queue"]["storage"] == "file_storage/queue"
            assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_the_gateway_tries_again_though_that_is_off_by_default():
    """The exporter that balances has no defaults for trying again; those below it leave that to its queue."""
    exporter = configuration([COLLECTOR_CONFIG / "backends/sampler.yaml"])["exporters"]["load_balancing"]
    assert exporter["retry_on_failure"] == {
        "enabled": True,
        "multiplier": 1.5,
        "randomization_factor": 0.5,
        "initial_interval": "1s",
        "max_interval": "30s",
        "max_elapsed_time": "0s",
    }
    inner = exporter["protocol"]["otlp"]
    assert (inner["retry_on_failure"], inner["sending_queue"]) == ({"enabled": False}, {"enabled": False})


def test_spans_go_to_a_backend_that_was_named(collector):
    """No exporter in use keeps the address that stands in base.yaml."""
    for exporter in exporters_used(collector).values():
        assert "named-by-the-backend" not in exporter.get("traces_endpoint", exporter.get("endpoint", ""))


def test_jaeger_gets_what_each_storage_can_hold():
    """For each storage of Jaeger the Collector has a processor of that name, which cuts for Badger alone."""
    jaeger = configuration([COLLECTOR_CONFIG / "backends/jaeger.yaml"])
    storages = {path.stem for path in (COLLECTOR_CONFIG / "jaeger").glob("*.yaml")} - {"config"}
    processors = {name: settings for name, settings in jaeger["processors"].items() if name != "transform/names"}
    assert set(processors) == {f"transform/{storage}" for storage in storages}
    assert [name for name, settings in processors.items() if settings] == ["transform/badger"]


def test_limits_on_memory_come_first(collector):
    """The memory limiter stands before everything that holds spans."""
    assert collector["service"]["pipelines"]["traces/in"]["processors"][0] == "memory_limiter"


def test_what_arrives_from_applications_is_masked():
    """The Collector that applications talk to masks secrets, whatever its backend."""
    masks = ["transform/keys", "redaction/secrets", "transform/return"]
    for files in every_choice("otel-collector"):
        assert configuration(files)["service"]["pipelines"]["traces/in"]["processors"] == ["memory_limiter", *masks]


def test_size_limits_grow_on_the_way_to_jaeger():
    """The largest batch, one request and what was waiting, fits into what Jaeger takes."""
    collector, jaeger = configuration(config_files("otel-collector")), configuration(config_files("jaeger"))
    protocols = collector["receivers"]["otlp"]["protocols"]
    request = max(protocols["grpc"]["max_recv_msg_size_mib"] << 20, protocols["http"]["max_request_body_size"])
    batch = collector["exporters"]["otlp_grpc/out"]["sending_queue"]["batch"]
    assert "max_size" not in batch
    assert batch["min_size"] + request < jaeger["receivers"]["otlp"]["protocols"]["grpc"]["max_recv_msg_size_mib"] << 20
