"""HTML forms read and filled as a browser would, to drive the web pages in demonstrations."""

from html.parser import HTMLParser
from urllib.parse import urljoin

from msgspec import Struct

from app.wallet.addresses import origin
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.http import Exchange, Http

MAX_PAGES = 12
"""Requests until the redirect back, redirects included."""

AGREE = frozenset({"approve", "continue"})
"""Names and values of buttons that agree to what a page shows."""


class Form(Struct):
    """One form of a page: where it goes, its filled fields and its buttons (name, value)."""

    action: str
    method: str
    fields: dict[str, str] = {}
    text_names: list[str] = []
    password_name: str | None = None
    buttons: list[tuple[str, str]] = []


class Page(HTMLParser):
    """A page's forms, and what it says: its alert (`role="alert"`), else its first heading."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._texts = {"alert": "", "heading": ""}
        self._reading: tuple[str, str] | None = None
        self.feed(html)
        self.close()

    @property
    def says(self) -> str:
        """What to tell of the page in one line."""
        return self._texts["alert"] or self._texts["heading"] or "a page without heading"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and their controls; note where a text to tell begins."""
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(attributes.get("action", ""), attributes.get("method", "get").upper())
            self.forms.append(self._open)
        elif attributes.get("role") == "alert":
            self._reading = (tag, "alert")
        elif tag == "h1" and not self._texts["heading"]:
            self._reading = (tag, "heading")
        elif tag in ("input", "button") and self._open is not None and "disabled" not in attributes:
            self._add_control(self._open, tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag == "form":
            self._open = None
        elif self._reading is not None and tag == self._reading[0]:
            self._reading = None

    def handle_data(self, data: str) -> None:
        """Collect the text to tell."""
        if self._reading is not None:
            name = self._reading[1]
            self._texts[name] = f"{self._texts[name]} {data.strip()}".strip()

    def _add_control(self, form: Form, tag: str, attributes: dict[str, str]) -> None:
        name, value = attributes.get("name", ""), attributes.get("value", "")
        kind = attributes.get("type", "submit" if tag == "button" else "text").lower()
        if kind == "submit":
            form.buttons.append((name, value))
        elif kind in ("checkbox", "radio"):
            if "checked" in attributes and name:
                form.fields[name] = value or "on"
        elif kind not in ("button", "reset", "image", "file") and name:
            form.fields[name] = value
            if kind == "password":
                form.password_name = name
            elif kind != "hidden":
                form.text_names.append(name)


class Login(Struct, frozen=True):
    """What somebody signs in with."""

    username: str
    password: str


class PageDriver:
    """Stands in for a person at a browser: approves, signs in if told how, and says where the browser ends up."""

    def __init__(self, http: Http, redirect_uri: str, login: Login | None = None) -> None:
        self._http = http
        self._redirect_uri = redirect_uri
        self._login = login
        self._signed_in = False

    def __call__(self, authorize_url: str) -> str:
        """Walk the pages from the authorization endpoint to the redirect URI and return the address reached there."""
        home = origin(authorize_url)
        self._signed_in = False
        method, url, fields = "GET", authorize_url, list[tuple[str, str]]()
        for _ in range(MAX_PAGES):
            exchange = self._send(home, method, url, fields)
            location = exchange.headers.get("location")
            if exchange.status in (302, 303) and location:
                method, url, fields = "GET", urljoin(url, location), []
                if url.partition("?")[0] == self._redirect_uri.partition("?")[0]:
                    return url
                continue
            page = Page(exchange.body.decode("utf-8", "replace"))
            if exchange.status != 200:
                raise ServerRefused(f"http_{exchange.status}", page.says)
            form, fields = self._fill(page)
            method, url = "POST", urljoin(url, form.action)
        raise WalletRefused("no_way_back", f"no redirect back to the wallet after {MAX_PAGES} pages")

    def _send(self, home: str, method: str, url: str, fields: list[tuple[str, str]]) -> Exchange:
        # The password is this server's; no page may send it elsewhere.
        if origin(url) != home:
            raise WalletRefused("foreign_page", f"the web pages lead away from their own server, to {origin(url)}")
        headers = {"accept": "text/html", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
        if method == "GET":
            return self._http.send("GET", url, "opens the web page", headers=headers)
        headers["origin"] = home
        return self._http.send("POST", url, "sends the form of the page", headers=headers, form=fields)

    def _fill(self, page: Page) -> tuple[Form, list[tuple[str, str]]]:
        """Choose the form to send, and return it with the fields to send, the pressed button included."""
        forms = [form for form in page.forms if form.method == "POST"]
        for form in forms:
            if form.password_name is None:
                continue
            if self._login is None:
                raise WalletRefused("login_needed", f"the page wants a password (--login): {page.says}")
            if self._signed_in or not form.text_names:
                raise ServerRefused("login_failed", f"the page asks again: {page.says}")
            self._signed_in = True
            name, password = self._login.username, self._login.password
            filled = {**form.fields, form.text_names[0]: name, form.password_name: password}
            # As the Enter key does: by the first button.
            return form, [*filled.items(), *(button for button in form.buttons[:1] if button[0])]
        for form in forms:
            for button in form.buttons:
                if AGREE.intersection(button):
                    return form, [*form.fields.items(), button]
        raise WalletRefused("unknown_page", f"the wallet knows no answer to the page: {page.says}")
