import json
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from itertools import islice

import pytest

from runspan.viewer.store import TraceStore
from runspan.viewer.trace import trace_of
from tests.recorded import TRACE_ID, model_call, recorded, text
from tests.waiting import wait_until


@pytest.fixture
def make(tmp_path):
    """Open the same file as a store; close all at the end."""
    opened = []

    def make(**options):
        opened.append(TraceStore(tmp_path / "deep" / "traces.sqlite3", **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_traces_come_back(make, tmp_path):
    """Spans that were stored are there for the next process, each once, and for its user alone."""
    call = recorded(1, name="chat", attributes=model_call([text("user", "one?")], [text("assistant", "two")]))
    make().add([call, call])
    again = make()
    again.add([recorded(2**64 - 1, 1, "inner"), call])
    (summary,) = again.summaries()
    assert (summary["question"], summary["answer"], "spans" in summary) == ("one?", "two", False)
    assert [span.name for span in again.trace(summary["id"]).spans] == ["chat", "inner"]
    assert again.trace("0" * 32) is None
    assert stat.S_IMODE((tmp_path / "deep" / "traces.sqlite3").stat().st_mode) == 0o600


def test_a_summary_follows_its_trace(make):
    """What a list shows of a trace is up to date when spans come later; who asks hears which traces have changed."""
    store = make()
    store.add([recorded(1, name="root")])
    assert next(store.summaries())["total"] == {}
    last, changed = store.changes(0)
    assert changed == [next(store.summaries())["id"]]
    assert store.changes(last) == (last, [])
    store.add([recorded(2, 1, error="broke")])
    assert next(store.summaries())["total"] == {"errors": 1}
    assert store.changes(last)[1] == changed


def test_who_takes_a_few_waits_for_these_alone(make, monkeypatch):
    """What a list shows of a trace is made when it is taken from the list, and once."""
    made = []
    monkeypatch.setattr("runspan.viewer.store.trace_of", lambda spans: made.append(spans[0].name) or trace_of(spans))
    store = make()
    store.add(recorded(1, name=f"trace {number}", trace_id=number, start=number) for number in range(1, 101))
    for _ in range(2):
        assert [each["name"] for each in islice(store.summaries(), 2)] == ["trace 100", "trace 99"]
    assert made == ["trace 100", "trace 99"]


def test_a_trace_that_goes_meanwhile_is_left_out(make, tmp_path):
    """A trace that made room for others while the list is read is not in the list."""
    store = make()
    store.add([recorded(1, name="goes", trace_id=1, start=1), recorded(1, name="stays", trace_id=2, start=2)])
    listed = store.summaries()
    assert next(listed)["name"] == "stays"
    with closing(sqlite3.connect(tmp_path / "deep" / "traces.sqlite3")) as other, other:
        other.execute("DELETE FROM spans WHERE trace LIKE '%1'")
    assert list(listed) == []


def test_the_oldest_traces_go(make, tmp_path):
    """The file stays within the bytes that it may take; the oldest traces go first, whole."""
    store = make(max_bytes=1_000_000)
    for number in range(1, 201):
        spans = [
            recorded(each, None, str(number), start=number, trace_id=number, attributes={"t": "x" * 5000})
            for each in (1, 2)
        ]
        store.add(spans)
    names = [int(each["name"]) for each in store.summaries()]
    assert names == list(range(200, names[-1] - 1, -1))
    assert 50 < len(names) < 100
    size = sum(each.stat().st_size for each in tmp_path.rglob("traces.sqlite3"))
    assert size < 1_100_000


def test_a_text_is_found_anywhere(make):
    """The search finds traces by what stands in any span, in any case, with characters that JSON writes otherwise."""
    store = make()
    store.add([recorded(1, trace_id=1, attributes={"a": 'Say "Olá"\n'}), recorded(1, name="Other", trace_id=2)])
    assert [each["id"] for each in store.summaries(search='"olá"\n')] == [f"{1:032x}"]
    assert [each["name"] for each in store.summaries(search="other")] == ["Other"]
    assert list(store.summaries(search="%")) == []


@pytest.mark.parametrize(
    "said", ["Привет", "ÄPFEL", "STRASSE", 'he said "Hi"', "one\ntwo", "C:\\temp", "smile 😀", "100 %"]
)
@pytest.mark.parametrize("is_ascii", [False, True])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_text_is_found_within_json(make, said, levels, is_ascii):
    """A text of any language is found in any case, however deep JSON holds it within JSON, raw or as ASCII."""
    value = f"before {said} after"
    for _ in range(levels):
        value = json.dumps([value], ensure_ascii=is_ascii)
    store = make()
    store.add([recorded(1, attributes={"a": value}), recorded(2, trace_id=2)])
    searches = [said] if is_ascii else [said, said.lower(), said.upper()]
    assert [[each["id"] for each in store.summaries(search=each)] for each in searches] == [
        [f"{TRACE_ID:032x}"] for _ in searches
    ]


def test_threads_share_a_store(make):
    """Many threads write and read at once; nothing is lost."""
    store = make()

    def work(number):
        for span in range(1, 21):
            store.add([recorded(span, trace_id=number)])
            list(store.summaries())

    threads = [threading.Thread(target=work, args=(each,)) for each in range(1, 5)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    assert [len(store.lines(f"{each:032x}")) for each in range(1, 5)] == [20] * 4


def test_a_kill_loses_nothing_that_was_taken(make, tmp_path):
    """Whatever was stored when the process is killed is there, and the file is whole."""
    make()
    code = (
        "import itertools, pathlib; from runspan.viewer.store import TraceStore; from tests.recorded import recorded\n"
        f"store = TraceStore(pathlib.Path({str(tmp_path / 'deep' / 'traces.sqlite3')!r}))\n"
        "for n in itertools.count(1): store.add([recorded(n, attributes={'t': 'x' * 1000})]); print(n, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        said = [next(process.stdout) for _ in range(50)]
        process.kill()
        said += list(process.stdout)
    store = make()
    wait_until(lambda: len(store.lines(next(store.summaries())["id"])) >= len(said))
    with sqlite3.connect(tmp_path / "deep" / "traces.sqlite3") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_what_is_no_store_stays_as_it_is(tmp_path):
    """Another file is refused with its name, and not changed."""
    path = tmp_path / "prices.csv"
    path.write_text("a,b\n" * 1000)
    with pytest.raises(ValueError, match=r"prices.csv is no store of traces"):
        TraceStore(path)
    assert path.read_text() == "a,b\n" * 1000


def test_a_store_of_another_version_is_refused(tmp_path):
    """Tables that an earlier version made are not written to: the error says what to do."""
    path = tmp_path / "traces.sqlite3"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.executescript("CREATE TABLE traces (id TEXT); PRAGMA user_version = 1;")
    with pytest.raises(ValueError, match=r"written by another version of runspan. Remove it, or name another"):
        TraceStore(path)
