"""A tab of the browser and what is done on the pages."""

from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request

USERNAME, PASSWORD = "erika", "vestibule-demo"


class Tab:
    """One tab in a browser context of its own, which keeps what it asked for and what the browser complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.requested: list[str] = []
        self.complaints: list[str] = []
        context.set_default_timeout(10_000)
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page = context.new_page()

    def _request(self, request: Request) -> None:
        self.requested.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium reports every page with a status of 400 and above; that the page is one is the test's business.
        of_page = message.location["url"] == message.page.url if message.page else False
        if message.type in ("error", "warning") and not (of_page and "the server responded with" in message.text):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def button(self, name: str) -> Locator:
        """Return a button by its accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def sign_in(self, url: str, password: str = PASSWORD) -> None:
        """Open the sign-in page and send it."""
        self.page.goto(url)
        self.fill(password=password)
        self.button("Sign in").click()

    def fill(self, username: str = USERNAME, password: str = PASSWORD) -> None:
        """Fill the sign-in page."""
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)

    def heading(self) -> str:
        """Return the one main heading."""
        return self.page.get_by_role("heading", level=1).inner_text()

    def evaluate(self, script: str) -> Any:
        """Run a script in the page, as the developer tools do."""
        return self.page.evaluate(script)

    def close(self) -> None:
        """Close the tab and its context."""
        self._context.close()
