"""The current span far above the function that started a run: found near who asks, and by nothing that may be wrong."""

import bdb
import gc
import sys
import weakref

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from runspan.runs import known_frame
from tests.fakes import SyncModel
from tests.tracing import current_name

DEPTH = 100


def below(depth, ask):
    """Return what a function returns, called so many frames below."""
    return below(depth - 1, ask) if depth else ask()


def through_generators(depth, ask):
    """Yield twice what a function returns, so many generators below."""
    if depth:
        yield from through_generators(depth - 1, ask)
    else:
        yield ask()
        yield ask()


@pytest.fixture(autouse=True)
def untraced():
    """Trace nothing meanwhile: where a debugger is, or a measurement of coverage like one, frames are left to it."""
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)


class EndIsLost(BaseCallbackHandler):
    """A handler that keeps the end of a model from those after it."""

    raise_error = True

    def on_llm_end(self, *_, **__):
        """Raise."""
        raise ConnectionError


def call(tracing, function):
    """Have a model call a function."""
    SyncModel(before=function).invoke("x", tracing.config)


@pytest.mark.parametrize("depth", [5, DEPTH, 300])
def test_who_asks_again_is_answered_from_near(tracing, depth, monkeypatch):
    """However deep the stack is, CPython is asked for no frame far away, once the current span was asked for."""
    frame_at, asked = known_frame._frame_at, []

    def noting(distance):
        asked.append(distance)
        return frame_at(distance + 1)

    def ask():
        names = [current_name()]
        monkeypatch.setattr(known_frame, "_frame_at", noting)
        names += [current_name(), below(1, current_name)]
        monkeypatch.setattr(known_frame, "_frame_at", frame_at)
        return names

    names = []
    call(tracing, lambda: names.extend(below(depth, ask)))
    assert names == ["chat"] * 3
    assert asked
    assert max(asked) <= 2 * known_frame._MOST_FRAMES


def test_every_depth_of_a_stack_that_grows_and_shrinks(tracing):
    """Who asks at each depth, on the way down and up, gets the model; so does a second model within, then the first."""
    names = []

    def down(depth):
        names.append(current_name())
        if depth == DEPTH // 2:
            call(tracing, lambda: below(DEPTH, lambda: names.append(current_name())))
        if depth:
            down(depth - 1)
        names.append(current_name())

    call(tracing, lambda: down(DEPTH))
    assert set(names) == {"chat"}
    assert len(names) == 2 * DEPTH + 3


def test_functions_called_again_from_elsewhere_are_not_in_the_run(tracing):
    """Of a model whose end was kept from the handler nothing is current, though its frames are kept and look alike."""
    tracing.driven_by_langchain = [EndIsLost()]
    inside = []
    with tracing.span("request"):
        for _ in range(5):
            with pytest.raises(ConnectionError) as kept:
                call(tracing, lambda: inside.append(below(DEPTH, current_name)))
            assert [below(depth, current_name) for depth in range(DEPTH + 20)] == ["request"] * (DEPTH + 20)
            del kept
    assert inside == ["chat"] * 5


def test_generators_that_are_resumed_elsewhere_are_not_in_the_run(tracing):
    """What a model called may be generators that go on outside of it: there the caller's span is current."""
    tracing.driven_by_langchain = [EndIsLost()]
    generator, names = through_generators(DEPTH, current_name), []
    with tracing.span("request"):
        with pytest.raises(ConnectionError) as kept:
            call(tracing, lambda: names.extend([next(generator), current_name()]))
        names.append(next(generator))
        del kept
    assert names == ["chat", "chat", "request"]


def test_what_a_debugger_sets_is_left_to_it(tracing):
    """A trace function of a frame stays; one that begins later hears what it would, and the frames work as before."""
    heard = []

    def trace(frame, event, arg):
        heard.append((frame.f_code.co_name, event))
        return trace

    def ask():
        frame = sys._getframe()
        mine = {}
        while frame is not None and len(mine) < DEPTH:
            if frame.f_code is below.__code__ and not len(mine) % 2:
                frame.f_trace = trace
            mine[frame] = frame.f_trace
            frame = frame.f_back
        before = [current_name(), current_name()]
        assert all(frame.f_trace is set_before for frame, set_before in mine.items() if set_before is not None)
        return before

    def begin():
        names = [current_name(), current_name()]
        sys.settrace(trace)
        return [*names, current_name()]

    def traced():
        before = sys.gettrace()
        try:
            names.extend(below(DEPTH, begin))
        finally:
            sys.settrace(before)

    names = []
    call(tracing, lambda: names.extend(below(DEPTH, ask)))
    call(tracing, traced)
    assert set(names) == {"chat"}
    assert ("current_name", "call") in heard
    assert ("below", "return") not in heard


class Stepping(bdb.Bdb):
    """A debugger that steps on, out of every function."""

    def __init__(self, **backend):
        super().__init__(**backend)
        self.functions = []

    def begin(self):
        """Trace what comes."""
        if hasattr(self, "start_trace"):  # from Python 3.14 on
            self.start_trace()
        else:
            sys.settrace(self.trace_dispatch)

    def end(self):
        """Trace no more."""
        sys.settrace(None)
        if hasattr(self, "stop_trace"):
            self.stop_trace()

    def user_line(self, frame):
        """Note where it stands."""
        self.functions.append(frame.f_code.co_name)
        self.set_step()

    def user_return(self, frame, _):
        """Go on in the caller."""
        self.functions.append(f"end of {frame.f_code.co_name}")
        self.set_step()


# In Python 3.14 a debugger may have no trace function: ``breakpoint()`` brings such a one.
BACKENDS = [{}, {"backend": "monitoring"}] if sys.version_info >= (3, 14) else [{}]


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_a_debugger_steps_out_into_every_frame(tracing, backend):
    """One that begins far above the model, as where it is attached, steps out of all functions that it called."""
    stepping, names = Stepping(**backend), []

    def begin():
        names.extend([current_name(), current_name()])
        stepping.begin()
        return current_name()

    def traced():
        stepping.reset()
        stepping.botframe = sys._getframe()
        try:
            names.append(below(DEPTH, begin))
        finally:
            stepping.end()

    call(tracing, traced)
    assert names == ["chat"] * 3
    assert stepping.functions.count("end of below") == DEPTH + 1


def test_what_functions_hold_goes_with_them(tracing):
    """Asking for the current span far above a model, or near it, keeps no data of the functions in between."""

    class Data:
        pass

    def holding(depth, ask):
        data = Data()
        held.append(weakref.ref(data))
        return holding(depth - 1, ask) if depth else ask()

    def ask():
        names.extend([holding(DEPTH, current_name), current_name(), holding(DEPTH, current_name)])

    held, names = [], []
    gc.collect()
    gc.disable()
    try:
        call(tracing, lambda: holding(DEPTH, ask))
        assert [each() for each in held] == [None] * 3 * (DEPTH + 1)
    finally:
        gc.enable()
    assert names == ["chat"] * 3
