"""What a page must not do is noticed, or none of the other tests would mean much."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.browsing import Desk
from tests.waiting import wait_until

NEVER = {
    "console.error('broken')": "console error: broken",
    "void setTimeout(() => { throw new Error('broken'); })": "exception: broken",
    "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')": "Content Security Policy",
    "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))": "Content Security Policy",
    "void fetch('http://192.0.2.1/').catch(() => 0)": "http://192.0.2.1/",
}


@pytest.mark.parametrize("script", NEVER)
def test_what_a_page_must_not_do_is_a_complaint(desk: Desk, page: Page, script: str) -> None:
    page.evaluate(script)
    wait_until(lambda: page.evaluate("1") and desk.complaints)
    assert NEVER[script] in "".join(desk.complaints)
    desk.complaints.clear()


def test_a_link_to_another_host_is_a_complaint_once_it_is_followed(desk: Desk, page: Page) -> None:
    desk.expect("net::ERR_")
    page.context.route("http://192.0.2.1/**", lambda route: route.abort())
    with page.expect_request("http://192.0.2.1/"):
        page.evaluate("location = 'http://192.0.2.1/'")
    assert desk.complaints == ["request elsewhere: http://192.0.2.1/"]
    desk.complaints.clear()
