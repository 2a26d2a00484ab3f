"""What users build on: the public names, their types, their documentation, and what is said of a mistake."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runspan
import runspan.testing
from devtools import public_api

ROOT = Path(__file__).parent.parent
TYPING = ROOT / "tests" / "typing"
PARTS = r"(?:Args|Attributes|Returns|Raises|Example)"
PUBLIC = [pytest.param(getattr(runspan, name), id=name) for name in runspan.__all__ if name != "__version__"]
PUBLIC += [pytest.param(getattr(runspan.testing, name), id=name) for name in runspan.testing.__all__]
# What LangChain and OpenTelemetry call has the arguments that they say.
CALLED_BY_OTHERS = re.compile(r"on_\w+|_\w+|force_flush|shutdown|open_block")


def members():
    """Yield the methods that users call."""
    for parameter in PUBLIC:
        for name, method in inspect.getmembers(parameter.values[0], inspect.isfunction):
            if method.__module__.startswith("runspan") and not CALLED_BY_OTHERS.fullmatch(name):
                yield pytest.param(method, id=f"{parameter.id}.{name}")
    for owner in (runspan.Handle, runspan.OpenTelemetryCallbackHandler):
        for name in ("force_flush", "shutdown"):
            yield pytest.param(getattr(owner, name), id=f"{owner.__name__}.{name}")


def parts(documented):
    """Return the parts of a docstring by their headings; what comes before them is under ''."""
    _, *rest = re.split(rf"^({PARTS}):\n", inspect.getdoc(documented), flags=re.MULTILINE)
    return {"": _, **dict(zip(rest[::2], rest[1::2], strict=True))}


def entries(part):
    """Return what a list of arguments or errors says of each."""
    return dict(re.findall(r"^    (\w+): (.+)", part, flags=re.MULTILINE))


def parameters(function):
    """Return the names of the arguments that a user gives."""
    return {name for name in inspect.signature(function).parameters if name not in {"self", "_"}}


def test_the_names_and_signatures_are_those_that_are_written_down():
    """A change of the public interface shows in a file, so that it is meant."""
    written = (ROOT / "tests" / "data" / "public_api.txt").read_text()
    assert written == public_api.text(), "if the change is meant, run `make api`"


@pytest.fixture(scope="module")
def checked():
    """What mypy says of the two files of calls, by path and line."""
    command = [sys.executable, "-m", "mypy", "--strict", *(str(TYPING / name) for name in ("api.py", "mistakes.py"))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return re.findall(r"^(.+):(\d+): error: .+\[([\w-]+)\]$", done.stdout, flags=re.MULTILINE)


@pytest.mark.newest
@pytest.mark.once
@pytest.mark.timeout(900)  # mypy reads all of LangChain the first time
def test_every_public_name_is_typed(checked):
    """Calls of every public name pass mypy --strict, each with the precise type that it gives."""
    assert [error for error in checked if error[0].endswith("api.py")] == []
    used = (TYPING / "api.py").read_text()
    assert [name for name in runspan.__all__ if f"runspan.{name}" not in used] == []
    assert [name for name in runspan.testing.__all__ if f"testing.{name}" not in used] == []


@pytest.mark.newest
@pytest.mark.once
@pytest.mark.timeout(900)
def test_mistaken_calls_are_refused_by_mypy(checked):
    """An option, value or name that there is not is an error of mypy's, at its line; no other line has one."""
    lines = (TYPING / "mistakes.py").read_text().splitlines()
    expected = [(str(number), line.split("  # ")[1]) for number, line in enumerate(lines, 1) if "  # " in line]
    assert [error[1:] for error in checked if error[0].endswith("mistakes.py")] == expected


@pytest.mark.parametrize(
    ("call", "argument", "value", "remedy"),
    [
        (lambda: runspan.Settings(capture_contents="none"), "capture_contents", "'none'", "capture_content, "),
        (lambda: runspan.Settings(detail="maximal"), "detail", "'maximal'", "'minimal', 'normal' or 'all'"),
        (lambda: runspan.Settings(names="both"), "names", "'both'", "semconv"),
        (lambda: runspan.Settings(semconv="both"), "semconv", "'both'", "'latest' or 'latest_and_legacy'"),
        (lambda: runspan.Settings(capture_chains="perhaps"), "capture_chains", "'perhaps'", "'none', 'root', 'all'"),
        (lambda: runspan.configure(protocol="htp"), "protocol", "'htp'", "'http/protobuf', 'grpc'"),
        (lambda: runspan.configure(nested_model_spans="bare"), "nested_model_spans", "'bare'", "'deduplicate' or"),
        (lambda: runspan.configure(backend="tempo"), "backend", "'tempo'", "'jaeger', 'langfuse', 'mlflow', 'phoenix'"),
        (lambda: runspan.OtlpSpanProcessor(protocol="htp"), "protocol", "'htp'", "'http/protobuf', 'grpc'"),
        (lambda: runspan.Spool("spool", durability="always"), "durability", "'always'", "'on-failure' or"),
        (lambda: runspan.Spool("spool", max_bytes="1 GiB"), "max_bytes", "'1 GiB'", "a number above 0"),
        (lambda: runspan.Spool("spool", max_age_seconds=-1), "max_age_seconds", "-1", "a number above 0"),
        (lambda: runspan.Spool(5), "path", "5", "name a folder"),
    ],
)
def test_a_mistaken_value_is_an_error_of_one_line(call, argument, value, remedy):
    """It names the argument, the value and what to give."""
    with pytest.raises(ValueError, match=rf"\b{argument}\b") as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    assert value in message
    assert remedy in message


@pytest.mark.parametrize("documented", PUBLIC)
def test_public_docstrings(documented):
    """Each public name says what its arguments are, what it gives and raises, and has an example."""
    found = parts(documented)
    assert re.match(r"[A-Z].+\.$", found[""].splitlines()[0])
    assert "Example" in found
    listed = entries(found.get("Args", ""))
    # The first two nobody makes, the third is made by what OpenTelemetry's base class has.
    if documented not in {runspan.Handle, runspan.testing.RecordedSpan, runspan.RunspanInstrumentor}:
        assert set(listed) == parameters(documented), "its Args have to list these, no more and no fewer"
    if inspect.isfunction(documented) and inspect.signature(documented).return_annotation not in {None, "None"}:
        assert "Returns" in found


@pytest.mark.parametrize("owner", [each for each in PUBLIC if inspect.isclass(each.values[0])])
def test_public_attributes(owner):
    """Each attribute that an object gets when it is made is explained."""
    (_, block) = re.split(rf"class (?:testing\.)?{owner.__name__}\b", public_api.text(), maxsplit=1)
    made = re.findall(r"^    attribute (\w+)$", re.split(r"^\w", block, flags=re.MULTILINE)[0], flags=re.MULTILINE)
    assert set(made) <= set(entries(parts(owner).get("Attributes", "")))


@pytest.mark.parametrize("method", [*members()])
def test_public_methods(method):
    """Each method says what its arguments are and what it gives."""
    found = parts(method)
    assert set(entries(found.get("Args", ""))) == parameters(method)
    if inspect.signature(method).return_annotation is not None:
        assert "Returns" in found or found[""].startswith("Return ")
