"""People with any screen, or with none, can use the page: in a file, and as ``runspan ui`` shows it."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.traces import agent_trace
from tests.recorded import recorded


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_people_can_use_it(shown, width, scheme):
    """The axe finds no serious fault in list, spans, graph and text: narrow and wide, light and dark."""
    failed = recorded(9, name="chain", trace_id=5, error="broke", attributes={"langchain.run.outcome": "cancelled"})
    page = shown([*agent_trace(), failed], width=width, color_scheme=scheme, bypass_csp=True)
    found = serious(page)
    page.locator(".traces a", has_text="Rome").click()
    page.keyboard.press("]")
    found += serious(page)
    for tab in ("Graph", "Text"):
        page.get_by_role("tab", name=tab).click()
        found += serious(page)
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def serious(page):
    """Return what the axe calls serious or worse, with the element."""
    violations = Axe().run(page).response["violations"]
    return [
        (each["id"], node["html"][:200], node["failureSummary"][-160:])
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
