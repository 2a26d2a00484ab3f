"""What an import brings: nobody pays for what he does not use."""

import subprocess
import sys

import pytest

HANDLER = "import runspan; runspan.OpenTelemetryCallbackHandler()"
LANGCHAIN = ("langchain_core", "langsmith")
# Each takes some 0.2 ms to be found and read. A few more are no harm; see then whether a handler needs them at once.
MOST_MODULES = 105


def modules_of(code):
    """Return the modules that are imported once some code has run, in a process of its own."""
    shown = f"{code}\nimport sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", shown], capture_output=True, text=True, check=True)
    return done.stdout.split()


def packages_of(modules):
    """Return the packages that modules belong to."""
    return {module.partition(".")[0] for module in modules}


@pytest.fixture(scope="module")
def brought():
    """The modules that a handler needs beside those of LangChain, and what LangChain brings."""
    needed = modules_of(HANDLER)
    langchain = [name for name in needed if name.startswith(LANGCHAIN)]
    return set(needed) - set(modules_of("\n".join(f"import {name}" for name in langchain)))


def test_a_handler_brings_few_packages(brought):
    """A handler without listeners brings OpenTelemetry's API and orjson, and no SDK, exporter, graph or server."""
    # Of Python's own library it needs what LangChain has imported, and ``array`` and ``gc``, which cost nothing.
    assert packages_of(brought) <= {"array", "gc", "opentelemetry", "orjson", "pydantic", "runspan"}
    of_sdk = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "opentelemetry.semconv")
    assert [name for name in brought if name.startswith(of_sdk)] == []


def test_a_handler_brings_few_modules(brought):
    """Our own modules that a handler needs at once are few enough to be imported in some 20 ms."""
    assert len([name for name in brought if name.startswith("runspan")]) <= MOST_MODULES


@pytest.mark.parametrize("code", ["import runspan", "import runspan.cli.__main__"])
def test_the_package_alone_brings_nothing(code):
    """To import the package, or the command before it runs, brings no package beside ours."""
    assert packages_of(modules_of(code)) - sys.stdlib_module_names - packages_of(modules_of("")) == {"runspan"}
