"""Every configuration that docker-compose.yml can choose, read by the real programs."""

import os
import subprocess

import pytest

from tests.compose_file import COLLECTOR_CONFIG, CONFIGURED, every_choice
from tests.e2e.program import BACKENDS

# Services that share a command line share its configurations.
CHOICES = {files: service for service in CONFIGURED for files in every_choice(service)}
NEEDED = {  # no backend is asked anything, but some of these must have the right form
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "eu-west-1",
    "AWS_SECRET_ACCESS_KEY": "none",
    "GRAFANA_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTLP_BACKEND_ENDPOINT": "http://127.0.0.1:1",
}


def validate(program, files, settings):
    """Return what the program says of the files, empty if it takes them."""
    command = [BACKENDS / program, "validate", *(f"--config={path}" for path in files)]
    said = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    return said.stderr if said.returncode else ""


@pytest.mark.parametrize("files", CHOICES, ids=lambda files: " ".join(path.stem for path in files))
def test_the_programs_take_their_files(files):
    """Each combination of files that Compose can put on a command line is valid."""
    program = "jaeger" if CHOICES[files] == "jaeger" else "otelcol-contrib"
    assert validate(program, files, NEEDED) == ""


@pytest.mark.parametrize("storage", ["memory", "badger", "clickhouse"])
def test_the_collector_takes_every_storage_of_jaeger(storage):
    """JAEGER_STORAGE is read by the Collector as well."""
    files = [COLLECTOR_CONFIG / "base.yaml", COLLECTOR_CONFIG / "backends/jaeger.yaml"]
    assert validate("otelcol-contrib", files, {"JAEGER_STORAGE": storage}) == ""


def test_a_backend_without_its_endpoint_is_refused():
    """A forgotten variable stops the Collector, rather than send spans nowhere."""
    files = [COLLECTOR_CONFIG / "base.yaml", COLLECTOR_CONFIG / "backends/otlp.yaml"]
    assert "at least one endpoint must be specified" in validate("otelcol-contrib", files, {})
