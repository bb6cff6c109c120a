"""How the pages look and read: every page, on a phone and on a desk, light and dark."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.browser.conftest import LONG_WORD, MARKUP
from tests.browser.listener import Listener
from tests.browser.tab import Tab
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer

pytestmark = pytest.mark.browser

PHONE: Final = {"width": 360, "height": 740}
DESK: Final = {"width": 1280, "height": 800}
# WCAG 2.2 §1.4.10: what a person sees who enlarges a desk's page four times.
ENLARGED: Final = {"width": 320, "height": 256}

Walk = Callable[[Tab, RawWallet], None]


def login(tab: Tab, wallet: RawWallet) -> None:
    tab.page.goto(wallet.authorize_url(wallet.push()))


def wrong_password(tab: Tab, wallet: RawWallet) -> None:
    tab.sign_in(wallet.authorize_url(wallet.push()), password="wrong")


def confirm(tab: Tab, wallet: RawWallet) -> None:
    tab.sign_in(wallet.authorize_url(wallet.push()))


def error(tab: Tab, wallet: RawWallet) -> None:
    tab.page.goto(f"{wallet.issuer}/authorize?client_id=demo-wallet&request_uri=urn:x")


PAGES: Final[list[Walk]] = [login, wrong_password, confirm, error]


@pytest.mark.parametrize("slug", ["pid-provider", "awkward"])
@pytest.mark.parametrize("viewport", [PHONE, DESK, ENLARGED], ids=["phone", "desk", "enlarged"])
def test_pages_fit_and_are_easy_to_hit(
    open_tab: Callable[..., Tab], server: RunningServer, listener: Listener, slug: str, viewport: dict[str, int]
) -> None:
    tab = open_tab(viewport=viewport)
    with server.wallet(slug, redirect_uri=listener.redirect_uri) as wallet:
        for walk in PAGES:
            walk(tab, wallet)
            assert tab.evaluate("() => document.documentElement.scrollWidth") <= viewport["width"], walk
            for target in tab.page.locator("button, input:not([type=hidden]), a").all():
                box = target.bounding_box()
                assert box is not None
                assert box["height"] >= 44, walk
                assert box["x"] >= 0, walk
                assert box["x"] + box["width"] <= viewport["width"], walk
            assert tab.evaluate(CLIPPED) == [], walk


CLIPPED = """() => [...document.querySelectorAll("body *")]
    .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
    .filter(element => getComputedStyle(element).display !== "inline" && element.tagName !== "INPUT")
    .map(element => element.outerHTML)"""

# WCAG 2.2 §1.4.3 and §1.4.11: each piece of text against the first opaque ground behind it, each field's edge likewise.
CONTRASTS = """() => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = colour => {
        const linear = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
        const [r, g, b] = channels(colour).map(c => linear(c / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            const alpha = channels(colour)[3] ?? 1;
            if (alpha === 1) return colour;
        }
        throw new Error("no ground");
    };
    const contrast = (a, b) => {
        const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (light + .05) / (dark + .05);
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim();
        if (!text) continue;
        const element = texts.currentNode.parentElement;
        found.push({what: text, kind: "text", contrast: contrast(getComputedStyle(element).color, ground(element))});
    }
    for (const field of document.querySelectorAll("input:not([type=hidden]), button")) {
        const style = getComputedStyle(field);
        found.push({what: field.name, kind: "text", contrast: contrast(style.color, ground(field))});
        const around = ground(field.parentElement);
        found.push({what: field.name, kind: "edge", contrast: contrast(style.borderColor, around)});
    }
    return found;
}"""


def test_the_style_sheet_and_the_icon_are_there(tab: Tab, wallet: RawWallet, server: RunningServer) -> None:
    with tab.page.expect_response(f"{server.url}/static/vestibule.svg") as icon:
        login(tab, wallet)
    assert icon.value.status == 200
    assert tab.evaluate("() => [...document.styleSheets].map(sheet => sheet.href)") == [
        f"{server.url}/static/vestibule.css"
    ]
    go = "document.querySelector('button.primary')"
    assert tab.evaluate(f"() => getComputedStyle({go}).backgroundColor") == "rgb(11, 74, 134)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(open_tab: Callable[..., Tab], wallet: RawWallet, scheme: str) -> None:
    tab = open_tab(viewport=PHONE, color_scheme=scheme)
    for walk in PAGES:
        walk(tab, wallet)
        found: list[dict[str, Any]] = tab.evaluate(CONTRASTS)
        assert len(found) > 4
        low = [one for one in found if one["contrast"] < (4.5 if one["kind"] == "text" else 3)]
        assert low == [], walk


def test_dark_is_dark(open_tab: Callable[..., Tab], wallet: RawWallet) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        tab = open_tab(color_scheme=scheme)
        login(tab, wallet)
        grounds.append(tab.evaluate("() => getComputedStyle(document.querySelector('.sheet')).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 27, 34)"]


def test_focus_is_seen(tab: Tab, wallet: RawWallet) -> None:
    login(tab, wallet)
    for _ in range(4):
        style = tab.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth] }"
        )
        assert style == ["solid", "3px"]
        tab.page.keyboard.press("Tab")


@pytest.mark.parametrize("walk", PAGES)
def test_a_page_says_what_it_is(tab: Tab, wallet: RawWallet, walk: Walk) -> None:
    walk(tab, wallet)
    assert tab.page.locator("html").get_attribute("lang") == "en"
    assert tab.page.get_by_role("heading", level=1).count() == 1
    assert tab.page.get_by_role("main").count() == 1
    assert tab.heading() in tab.page.title()
    viewport = tab.page.locator("meta[name=viewport]").get_attribute("content")
    assert viewport == "width=device-width, initial-scale=1"  # nothing keeps a person from enlarging it
    assert (
        len(set(tab.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")))
        == tab.page.locator("[id]").count()
    )
    assert tab.unnamed() == []


SIGN_IN = """
- banner:
  - paragraph: PID Provider (demonstration)
- main:
  - paragraph: Step 1 of 2
  - heading "Sign in" [level=1]
  - alert: The user name or the password is not right.
  - paragraph: Sign in to have your person identification data issued to your wallet.
  - paragraph:
    - strong: Demonstration wallet
    - text: "asks for:"
    - strong: Person identification data
  - note "Demonstration":
    - paragraph: Sign in as erika with the password vestibule-demo.
  - paragraph:
    - text: User name
    - textbox "User name" [invalid]
  - paragraph:
    - text: Password
    - textbox "Password" [invalid]
  - button "Sign in"
  - button "Cancel"
  - paragraph: Cancelling takes you back to Demonstration wallet. Nothing is issued then.
"""


def test_assistive_technology_reads_a_page_in_order(tab: Tab, wallet: RawWallet) -> None:
    wrong_password(tab, wallet)
    assert tab.page.locator("body").aria_snapshot().strip() == SIGN_IN.strip()


@pytest.mark.rule("AZ-27")
def test_the_confirm_page_says_who_gives_what_to_whom(tab: Tab, wallet: RawWallet) -> None:
    confirm(tab, wallet)
    assert tab.terms(".parties") == {
        "Issued by": "PID Provider (demonstration)",
        "Received by": "Demonstration wallet",
    }
    credential = tab.page.get_by_role("region", name="Person identification data")
    assert credential.get_by_role("heading", level=2).inner_text() == "Person identification data"
    assert tab.terms(".credential") == {
        "Family name": "Mustermann",
        "Given name": "Erika",
        "Date of birth": "1964-08-12",
        "Place of birth": "Berlin, DE",
        "Nationalities": "DE",
        "Street": "Heidestraße 17",
        "Postal code": "51147",
        "Town": "Köln",
        "Country": "DE",
        "Of age": "yes",
        "Valid until": "2035-12-31",
        "Issuing authority": "PID Provider (demonstration)",
        "Issuing country": "DE",
    }


@pytest.mark.rule("AZ-27")
def test_the_sign_in_page_says_who_asks_for_what(tab: Tab, wallet: RawWallet) -> None:
    login(tab, wallet)
    assert tab.page.locator(".request").inner_text() == "Demonstration wallet asks for: Person identification data"
    assert tab.page.get_by_role("banner").get_by_text("PID Provider (demonstration)").is_visible()


def test_a_wallet_nobody_registered_is_called_by_its_host(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    wallet.client_id = "a-stranger"
    confirm(tab, wallet)
    assert tab.terms(".parties")["Received by"] == f"localhost:{listener.port}"


def test_markup_in_names_and_values_is_text(
    tab: Tab, server: RunningServer, listener: Listener, wallet: RawWallet
) -> None:
    with server.wallet("awkward", redirect_uri=listener.redirect_uri) as awkward:
        confirm(tab, awkward)
    assert tab.page.locator("img, style, script").count() == 0
    assert tab.terms(".parties") == {"Issued by": f"{LONG_WORD} & {MARKUP}", "Received by": LONG_WORD}
    assert tab.terms(".credential") == {
        "Given name": MARKUP,
        "Family name": LONG_WORD * 3,
        "Address: locality": "Köln, Berlin, no, 3",
        "Issuing country": "DE",
    }


def test_a_password_manager_finds_its_way(tab: Tab, wallet: RawWallet) -> None:
    login(tab, wallet)
    name, password = tab.page.get_by_label("User name"), tab.page.get_by_label("Password")
    assert name.get_attribute("autocomplete") == "username"
    assert password.get_attribute("autocomplete") == "current-password"
    assert password.get_attribute("type") == "password"
