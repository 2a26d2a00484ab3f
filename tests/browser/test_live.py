"""The page of ``runspan ui``, as traces come."""

import json

from playwright.sync_api import expect

from tests.browser.traces import agent_trace, expect_chosen
from tests.recorded import link, model_call, recorded, text


def test_traces_appear_as_they_come(ui, open_page):
    """The list shows a new trace without being asked, and an open trace its new spans; what is chosen stays chosen."""
    page = open_page(ui.url)
    page.get_by_text("No traces yet").wait_for()
    expect(page.locator(".empty code").first).to_have_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={ui.url.rstrip('/')}")
    page.get_by_text("● live").wait_for()
    ui.send(agent_trace()[:3])
    page.locator(".traces a").click()
    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("]")
    expect_chosen(page, "chat m-1")
    ui.send(agent_trace()[3:])
    page.locator(".row").nth(6).wait_for()
    expect_chosen(page, "chat m-1")
    page.keyboard.press("Escape")
    ui.send([recorded(1, name="later", trace_id=5, start=50, attributes=model_call([text("user", "Next?")], []))])
    page.get_by_text("Next?").wait_for()
    expect(page.locator(".traces a")).to_have_count(2)


def test_a_link_to_another_trace_is_followed(ui, open_page):
    """A graph that was resumed leads to the trace that it was interrupted in."""
    resumed = recorded(1, name="resumed", links=[link(7, "resumed_from", 5)])
    ui.send([recorded(7, name="interrupted", trace_id=5), resumed])
    page = open_page(f"{ui.url}#/trace/0af7651916cd43dd8448eb211c80319c", may_ask_for=ui.url)
    page.get_by_role("link", name="Resumed from").click()
    page.get_by_role("heading", name="interrupted", level=2).wait_for()


def test_what_was_done_to_a_trace_stays_as_it_grows(ui, open_page):
    """New spans change neither what is folded, in tree and span, nor what is typed, nor where the focus is."""
    page = open_page(ui.url)
    page.get_by_text("● live").wait_for()
    ui.send(agent_trace()[:5])
    page.locator(".traces a").click()
    page.locator(".row", has_text="tools").click()
    page.keyboard.press("ArrowLeft")
    page.locator(".row", has_text="m-1").click()
    page.locator("summary", has_text="attributes").click()
    page.locator("summary", has_text="System").click()
    page.locator(".call").get_by_role("button", name="Copy").focus()
    ui.send(agent_trace()[5:6])
    expect(page.locator(".row")).to_have_count(5)  # that of the tool is folded
    expect(page.locator(".detail td", has_text="m-1")).to_be_visible()
    expect(page.locator(".detail").get_by_text("Be brief.").last).to_be_visible()
    expect(page.locator(".call").get_by_role("button", name="Copy")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("cha")
    ui.send(agent_trace()[6:])
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.type("t m")
    expect(page.get_by_role("searchbox")).to_have_value("chat m")
    page.get_by_role("tab", name="Text").click()
    page.get_by_role("searchbox").fill("later")
    ui.send([recorded(8, 1, "later", start=10_000, end=10_001)])
    expect(page.locator(".text [role=status]")).to_have_text("1 found")
    expect(page.locator(".text pre")).to_contain_text("later")
    expect(page.get_by_role("searchbox")).to_have_value("later")


def test_the_first_traces_are_listed_at_once(ui, open_page):
    """Of many traces the latest are listed first, the others follow."""
    ui.send([recorded(1, name=f"trace {number}", trace_id=number, start=number) for number in range(1, 301)])
    page = open_page(ui.url)
    expect(page.locator(".traces a").first).to_contain_text("trace 300")
    expect(page.locator(".traces a")).to_have_count(300)
    assert len(json.loads(ui.ask("GET", "/api/traces?limit=50")[1])) == 50
