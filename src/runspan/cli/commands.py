"""The commands: each reads its arguments, says what went wrong, and leaves the work to others."""

import importlib
import shlex
import sqlite3
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import orjson
import typer
from rich.console import Console

import runspan
from runspan.cli.terminal import print_summary, print_trace
from runspan.viewer.page import static_page
from runspan.viewer.sources import read_source
from runspan.viewer.store import MAX_BYTES, STORE_FAILED, TraceStore, default_path
from runspan.viewer.trace import traces_of

if TYPE_CHECKING:
    from runspan.export.otlp.target import OtlpProtocol

app = typer.Typer(
    name="runspan",
    help="Look at traces of LangChain and LangGraph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_console = Console(highlight=False, markup=False, emoji=False)
_errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

_MOST_LISTED = 10_000
_MOST_PRINTED = 20
_HIGHEST_PORT = 65_535
_SIGNS = {"good": "✓", "bad": "✕", "note": "•"}
_FINDING_STYLES = {"good": "green", "bad": "bold red", "note": "dim"}

Source = Annotated[Path, typer.Argument(help="A file of OTLP (JSON lines or protobuf), or the folder of a spool.")]


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Look at traces of LangChain and LangGraph."""
    if version:
        _console.print(runspan.__version__)
        raise typer.Exit


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
        handler = runspan.OpenTelemetryCallbackHandler(settings=runspan.Settings(cost=price))
        configured = runspan.configure(service_name="runspan-demo", console="live", file=file)
    with configured:
        for name, run in chosen.items():
            _console.print(f"\n{name}: {run.__doc__ or ''}", style="bold")
            run(
                {
                    "callbacks": [handler],
                    "metadata": {"user_id": "ada"},
                    "configurable": {"thread_id": f"demo-{name}"},
                }
            )
    spans = read_source(file) if file.exists() else []
    if not spans:
        _fail("No span was recorded: a variable of OpenTelemetry switches them off. runspan doctor names it.")
    _write_page(static_page(spans), folder / "trace.html", opens=browser)
    named = shlex.quote(str(file))
    _console.print(f"The spans are in {file}. To see them here: runspan view {named}", soft_wrap=True)
    _console.print(f"In runspan ui: runspan replay {named} --endpoint http://localhost:4318", soft_wrap=True)


@app.command()
def ui(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; other machines reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="For the page and OTLP over HTTP.", min=0, max=_HIGHEST_PORT)] = 4318,
    grpc_port: Annotated[int, typer.Option(help="For OTLP over gRPC; 0 for none.", min=0, max=_HIGHEST_PORT)] = 4317,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name of this server.")] = None,
    store: Annotated[Path | None, typer.Option(help="The file that keeps the traces.")] = None,
    max_bytes: Annotated[int, typer.Option(help="What they may take; then the oldest go.", min=100_000)] = MAX_BYTES,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Receive OTLP on this machine and show the traces as they come."""
    try:
        from runspan.viewer.server.run import serve  # noqa: PLC0415  starlette and uvicorn are an extra
    except ModuleNotFoundError as error:
        _fail(f"runspan ui needs {error.name}. Install it: pip install 'runspan[ui]'")
    path = store or default_path()

    def started(url: str) -> None:
        _console.print(f"{url} shows what comes over OTLP; the traces are in {path}. Ctrl-C ends it.", soft_wrap=True)
        if browser:
            webbrowser.open(url)

    with _explained(path), closing(TraceStore(path, max_bytes)) as kept:
        serve(kept, host=host, port=port, grpc_port=grpc_port, hosts=allow_host or [], started=started)


@app.command()
def view(
    source: Source,
    html: Annotated[
        Path | None, typer.Option(help="Write one self-contained page there instead; - is standard output.")
    ] = None,
    trace: Annotated[str, typer.Option(help="Only the trace whose id begins so.")] = "",
    last: Annotated[
        int | None,
        typer.Option(help=f"At most so many traces, the latest; {_MOST_PRINTED} in the terminal by default.", min=1),
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show the traces in a file or a spool: trees in the terminal, or a page."""
    with _explained(source):
        spans = read_source(source)
    wanted = [each for each in traces_of(spans) if each.id.startswith(trace.lower())]
    if not wanted:
        _fail(f"{source} has no spans." if not spans else f"{source} has no trace whose id begins with {trace}.")
    if html is None and not browser:
        for each in reversed(wanted[: last or _MOST_PRINTED]):
            print_trace(_console, each)
        return
    ids = {int(each.id, 16) for each in wanted[:last]}
    page = static_page([span for span in spans if span.trace_id in ids])
    _write_page(page, html or source.with_name(f"{source.name}.html"), opens=browser)


@app.command()
def traces(
    *,
    trace: Annotated[str, typer.Argument(help="The id of a trace to show whole, or how it begins.")] = "",
    search: Annotated[str, typer.Option(help="Only those in which this text stands, anywhere.")] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Only those with errors.")] = False,
    slow: Annotated[float | None, typer.Option(help="Only those that took at least so many seconds.")] = None,
    session: Annotated[str, typer.Option(help="Only those of a session.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the latest.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    store: Annotated[Path | None, typer.Option(help="The file that keeps the traces.")] = None,
) -> None:
    """List the traces that runspan ui has kept, for scripts and coding agents; show one by its id."""
    path = store or default_path()
    if not path.exists():
        _fail(f"There are no traces: {path} does not exist. Start runspan ui, and send some.")
    with _explained(path), closing(TraceStore(path)) as kept:
        wanted = (
            each
            for each in kept.summaries(search=search, limit=_MOST_LISTED)
            if each["id"].startswith(trace.lower())
            and (not errors or each["total"].get("errors"))
            and (slow is None or each["duration"] >= slow * 1000)
            and (not session or each["session"] == session)
        )
        found = list(islice(wanted, limit))
        whole = [kept.trace(each["id"]) for each in found] if trace else []
    if not found and not as_json:
        is_filtered = bool(trace or search or errors or session) or slow is not None
        _fail(
            "No trace is like that." if is_filtered else f"{path} has no traces yet. Start runspan ui, and send some."
        )
    shown = [each for each in whole if each is not None]
    if as_json:
        sys.stdout.buffer.write(b"".join(orjson.dumps(each) + b"\n" for each in (shown if trace else found)))
        return
    for whole_trace in reversed(shown):
        print_trace(_console, whole_trace)
    for summary in () if trace else reversed(found):
        print_summary(_console, summary)


@app.command()
def doctor(
    endpoint: Annotated[str | None, typer.Option(help="An OTLP endpoint; that of the environment if left out.")] = None,
    protocol: Annotated[str | None, typer.Option(help="http/protobuf or grpc.")] = None,
    spool: Annotated[Path | None, typer.Option(help="The folder of a spool to look into.")] = None,
) -> None:
    """Say what is set, send one span to the endpoint and say what it answered, each fault with its remedy."""
    from runspan.cli.doctor import examine  # noqa: PLC0415  it imports the clients

    is_well = True
    for finding in examine(endpoint, cast("OtlpProtocol | None", protocol), spool):
        is_well = is_well and finding.state != "bad"
        line = f"{_SIGNS[finding.state]} {finding.text}"
        _console.print(line, style=_FINDING_STYLES[finding.state], soft_wrap=True)
        if finding.remedy:
            _console.print(f"  → {finding.remedy}", soft_wrap=True)
    if not is_well:
        raise typer.Exit(1)


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
        sys.stdout.buffer.write(page.encode())
        return
    with _explained(path):
        path.touch(0o600)  # it holds prompts
        path.chmod(0o600)
        path.write_text(page, "utf-8")
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
    except sqlite3.Error as error:
        _fail(STORE_FAILED % error)
    except (ValueError, TypeError) as error:
        _fail(str(error))


def _fail(message: str) -> Any:
    _errors.print(message, style="red", soft_wrap=True)
    raise typer.Exit(1)
