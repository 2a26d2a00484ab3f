"""Kafka's own server and Prometheus, configured as docker-compose.yml has them but for addresses and folders."""

import socket
import subprocess
from pathlib import Path

import orjson
import yaml

from e2e.scale import folder
from tests.compose_file import SERVICES
from tests.e2e.program import ROOT, Program, Server, free_addresses, get

SCALE = folder()
_CLUSTER = "4L6g3nShT-eMCtK--X86sw"


class Kafka(Program):
    """One broker that is its own controller; started again it goes on with its log. ``address`` is its clients'."""

    def __init__(self, folder):
        self.address, controller = free_addresses(2)
        self._properties = folder / "kafka.properties"
        settings = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in SERVICES["kafka"]["environment"].items()
        }
        settings |= {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": folder / "kafka-data",
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        java = ["java", "-Xmx512m", "-cp", SCALE / "kafka" / "*"]
        subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", self._properties],
            capture_output=True,
            check=True,
        )
        super().__init__([*java, "kafka.Kafka", self._properties], log=folder / "kafka.log")

    def _is_ready(self):
        assert self.is_running, f"{self} ended instead of starting:\n{self.last_words()}"
        host, port = self.address.split(":")
        with socket.socket() as asking:
            return asking.connect_ex((host, int(port))) == 0


class Prometheus(Server):
    """Prometheus with the configuration of collector-config/, for other targets and every second."""

    def __init__(self, folder, targets):
        (address,) = free_addresses(1)
        self.url = f"http://{address}"
        config = yaml.safe_load((ROOT / "collector-config/prometheus/prometheus.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        path = Path(folder) / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        super().__init__(
            [
                SCALE / "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={folder / 'prometheus-data'}",
                f"--web.listen-address={address}",
            ],
            log=folder / "prometheus.log",
            health=f"{self.url}/-/ready",
        )

    def names(self):
        """Return the names of all series."""
        answer = get(f"{self.url}/api/v1/label/__name__/values")
        return set(orjson.loads(answer)["data"]) if answer is not None else set()
