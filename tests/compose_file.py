"""What docker-compose.yml says, read from the files: its services and the configurations they can run with."""

import itertools
import re
from functools import reduce
from pathlib import Path, PurePosixPath

import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
COLLECTOR_CONFIG = ROOT / "collector-config"
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
WITHIN = re.compile(r"\$\{env:(\w+):-([^}]*)\}")
AS_WRITTEN = yaml.safe_load(COMPOSE.read_text())["services"]
# Each `${NAME:-default}` by its default, as Compose does where nothing is set.
SERVICES = yaml.safe_load(VARIABLE.sub(r"\2", COMPOSE.read_text()))["services"]
PROFILES = {None} | {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
MOUNTS = [
    (name, ROOT / source, PurePosixPath(target))
    for name, service in SERVICES.items()
    for source, target, *_ in (volume.split(":") for volume in service.get("volumes", []))
    if source.startswith(".")
]


def of_profile(profile):
    """Return the names of the services that run with one profile, or with none."""
    return {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}


def on_host(service, path):
    """Return the file of the repository that the service sees at the path."""
    for name, source, target in MOUNTS:
        if name == service and PurePosixPath(path).is_relative_to(target):
            return source / PurePosixPath(path).relative_to(target)
    raise LookupError(f"{service} reads {path}, which nothing mounts")


def named(services, service):
    """Return the paths that the service's command line names with --config, in their order."""
    words = services[service].get("command", [])
    return [on_host(service, word.removeprefix("--config=")) for word in words if word.startswith("--config=")]


def config_files(service):
    """Return the service's configuration files where no variable is set."""
    return tuple(named(SERVICES, service))


def every_choice(service):
    """Return the tuples of configuration files that the service gets, over all that its variables can name."""
    paths = named(AS_WRITTEN, service)
    fixed = {path for path in paths if not VARIABLE.search(path.name)}
    choices = [[path] if path in fixed else sorted(set(path.parent.glob("*.yaml")) - fixed) for path in paths]
    return list(itertools.product(*choices))


def merge(first, later):
    """Merge two configurations as the Collector does: maps by key, everything else replaced."""
    if not (isinstance(first, dict) and isinstance(later, dict)):
        return later
    return first | {key: merge(first[key], value) if key in first else value for key, value in later.items()}


def configuration(files):
    """Return what the Collector or Jaeger makes of the files together, where no variable is set."""
    return reduce(merge, [yaml.safe_load(WITHIN.sub(r"\2", path.read_text())) for path in files])


CONFIGURED = [service for service in SERVICES if config_files(service)]
