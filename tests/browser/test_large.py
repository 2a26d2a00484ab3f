"""Large traces; what scripts take is reported, as the browser's own trace counts it."""

import json

from playwright.sync_api import expect

from runspan.viewer.page import static_page
from tests.browser.traces import expect_chosen
from tests.recorded import model_call, recorded, text


def test_a_large_trace_opens(opened, chromium, record_property):
    """A thousand spans with five megabytes of text open; how long scripts worked is reported."""
    long = "All work and no play. " * 1000
    spans = [recorded(1, name="invoke_agent", end=1000, attributes={"gen_ai.operation.name": "invoke_agent"})]
    for number in range(2, 1001):
        call = model_call([text("user", f"{number} {long[:5000]}")], [text("assistant", str(number))])
        spans.append(recorded(number, 1, "chat m-1", start=number - 1, end=number, attributes=call))
    page = opened(spans)
    chromium.start_tracing(page=page, categories=["devtools.timeline"])
    page.reload()
    page.wait_for_selector(".row")
    expect(page.locator(".row").nth(1)).to_have_attribute("aria-setsize", "999")
    seconds = script_seconds(json.loads(chromium.stop_tracing())["traceEvents"])
    print(f"1,000 spans, {len(static_page(spans)) / 1e6:.1f} MB: {seconds:.2f} s of scripts")
    record_property("script_seconds", seconds)
    page.get_by_role("tab", name="Text").click()
    page.get_by_role("searchbox").fill("999 All work")
    assert page.locator(".text [role=status]").inner_text() == "1 of 1"


def script_seconds(events):
    """Return how long scripts worked, of the outermost events of the browser's trace."""
    worked = sorted(
        (each["ts"], each["ts"] + each["dur"])
        for each in events
        if each.get("name") in ("EvaluateScript", "FunctionCall") and "dur" in each
    )
    total, reached = 0, 0
    for start, end in worked:
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total / 1e6


def test_twenty_thousand_spans_are_scrolled(opened, chromium, record_property):
    """Of very many spans the rows to be seen are in the page; scrolling, keys, folds and the search reach all."""
    page = opened(crowd(agents=200, calls=99))
    expect(page.locator(".row").first).to_have_attribute("aria-selected", "true")
    tree, first = page.locator(".tree"), page.locator(".row .name").first
    chromium.start_tracing(page=page, categories=["devtools.timeline"])
    tree.evaluate("tree => (tree.scrollTop = tree.scrollHeight)")
    expect(page.locator(".row .name").last).to_have_text("call 199-98")
    for _ in range(20):
        tree.evaluate("tree => (tree.scrollTop -= 20_000)")
        page.evaluate("new Promise(requestAnimationFrame)")
    seconds = script_seconds(json.loads(chromium.stop_tracing())["traceEvents"])
    print(f"20,001 spans scrolled over 21 times: {seconds:.2f} s of scripts")
    record_property("script_seconds", seconds)
    assert page.locator(".row").count() <= 300
    tree.evaluate("tree => (tree.scrollTop = 0)")
    expect(first).to_have_text("everything")
    page.get_by_role("searchbox").fill("call 150-7")
    expect(page.locator(".row")).to_have_count(11)
    page.locator(".row").first.click()
    expect_chosen(page, "call 150-7")
    page.get_by_role("searchbox").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    expect_chosen(page, "call 150-8")
    expect(page.locator(".row[aria-selected=true]")).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    expect_chosen(page, "agent 150")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    expect_chosen(page, "agent 151")


def crowd(agents, calls):
    """Make a trace of many agents, each with as many calls below it."""
    spans = [recorded(1, name="everything", end=agents * 1000)]
    for agent in range(agents):
        number = 2 + agent * (calls + 1)
        spans.append(recorded(number, 1, f"agent {agent}", start=agent * 1000, end=agent * 1000 + 999))
        starts = [(each, agent * 1000 + each) for each in range(calls)]
        spans += [
            recorded(number + 1 + each, number, f"call {agent}-{each}", start=start, end=start + 1)
            for each, start in starts
        ]
    return spans
