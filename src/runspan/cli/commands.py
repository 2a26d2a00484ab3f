"""The commands: each reads its arguments, says what went wrong, and leaves the work to others."""

import importlib
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import runspan
from runspan.cli.terminal import print_trace
from runspan.viewer.page import static_page
from runspan.viewer.sources import read_source
from runspan.viewer.trace import traces_of

app = typer.Typer(
    name="runspan",
    help="Look at traces of LangChain and LangGraph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)

Source = Annotated[Path, typer.Argument(help="A file of OTLP (JSON lines or protobuf), or the folder of a spool.")]


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Look at traces of LangChain and LangGraph."""
    if version:
        _console.print(runspan.__version__)
        raise typer.Exit


@app.command()
def view(
    source: Source,
    html: Annotated[
        Path | None, typer.Option(help="Write one self-contained page there instead; - is standard output.")
    ] = None,
    trace: Annotated[str, typer.Option(help="Only the trace whose id begins so.")] = "",
    last: Annotated[int, typer.Option(help="At most so many traces, the latest.", min=1)] = 20,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show the traces in a file or a spool: trees in the terminal, or a page."""
    with _explained(source):
        spans = read_source(source)
    wanted = [each for each in traces_of(spans) if each.id.startswith(trace.lower())]
    if not wanted:
        _fail(f"{source} has no spans." if not spans else f"{source} has no trace whose id begins with {trace}.")
    if html is None and not browser:
        for each in reversed(wanted[:last]):
            print_trace(_console, each)
        return
    ids = {int(each.id, 16) for each in wanted}
    page = static_page([span for span in spans if span.trace_id in ids])
    _write_page(page, html or source.with_name(f"{source.name}.html"), opens=browser)


@app.command()
def demo(
    scene: Annotated[str, typer.Argument(help="agent, stream or graph; all of them if left out.")] = "all",
    folder: Annotated[Path, typer.Option(help="Where trace.html and trace.jsonl are written.")] = Path(),
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Run an agent with tools, a stream and a graph that waits, on a scripted model: no key, no network."""
    try:
        from runspan.cli.demo import SCENES, price  # noqa: PLC0415  it takes a while, and LangChain is an extra
    except ModuleNotFoundError as error:
        _fail(f"The demo needs {error.name}. Install it: pip install 'runspan[cli]'")
    chosen = SCENES if scene == "all" else {scene: SCENES[scene]} if scene in SCENES else {}
    if not chosen:
        _fail(f"There is no scene {scene!r}; there are {', '.join(SCENES)} and all.")
    file = folder / "trace.jsonl"
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
    with runspan.configure(service_name="runspan-demo", console=True, file=file):
        handler = runspan.OpenTelemetryCallbackHandler(settings=runspan.Settings(cost=price))
        for name, run in chosen.items():
            _console.print(f"\n{name}: {run.__doc__}", style="bold")
            run(
                {
                    "callbacks": [handler],
                    "metadata": {"user_id": "ada"},
                    "configurable": {"thread_id": f"demo-{name}"},
                }
            )
    _write_page(static_page(read_source(file)), folder / "trace.html", opens=browser)
    _console.print(f"The spans are in {file}: runspan view {file}")


@app.command()
def replay(
    source: Source,
    handler: Annotated[str, typer.Option(help="A callback handler to drive, as module:Class or module:instance.")] = "",
    endpoint: Annotated[str, typer.Option(help="An OTLP endpoint to send the spans to.")] = "",
) -> None:
    """Drive a callback handler from recorded spans, or send them to an OTLP endpoint."""
    if bool(handler) == bool(endpoint):
        _fail("Give one of --handler module:Class and --endpoint URL.")
    with _explained(source):
        spans = read_source(source)
    if handler:
        from runspan.recording.replay import replay_spans  # noqa: PLC0415  it imports LangChain

        with _explained(source):
            replay_spans(spans, callbacks=[_loaded(handler)])
        _console.print(f"{len(spans)} spans replayed.")
        return
    from runspan.cli.sending import send  # noqa: PLC0415

    with _explained(endpoint):
        send(spans, endpoint, _console)


def _loaded(name: str) -> Any:
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        _fail(f"--handler {name} can't be imported ({error}). Give module:Class, such as my_app.handlers:Logging.")
    return found() if isinstance(found, type) else found


def _write_page(page: str, path: Path, *, opens: bool) -> None:
    if str(path) == "-":
        sys.stdout.write(page)
        return
    with _explained(path):
        path.write_text(page, "utf-8")
        path.chmod(0o600)  # it holds prompts
    _console.print(f"The page is {path}", soft_wrap=True)
    if opens:
        webbrowser.open(path.absolute().as_uri())


@contextmanager
def _explained(what: object) -> Iterator[None]:
    """Turn the errors of files and recordings into a line."""
    try:
        yield
    except OSError as error:
        _fail(f"{what}: {error.strerror or error}.")
    except (ValueError, TypeError) as error:
        _fail(str(error))


def _fail(message: str) -> Any:
    _errors.print(message, style="red", soft_wrap=True, markup=False)
    raise typer.Exit(1)
