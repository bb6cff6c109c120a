"""A tab of the browser and what is done on the pages."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request

USERNAME, PASSWORD = "erika", "vestibule-demo"


@dataclass(frozen=True)
class Accessible:
    """A node of the accessibility tree."""

    role: str
    name: str
    description: str
    properties: dict[str, Any]

    @classmethod
    def of(cls, node: dict[str, Any]) -> "Accessible":
        """Read a node of the DevTools protocol."""
        role, name, description = (node.get(key, {}).get("value", "") for key in ("role", "name", "description"))
        return cls(role, name, description, {one["name"]: one["value"].get("value") for one in node["properties"]})


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
        self.press("Sign in")

    def press(self, name: str) -> None:
        """Press a button that leads on, and wait until the next page is there, its style sheet included."""
        with self.page.expect_navigation():
            self.button(name).click()

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

    def focused(self) -> str:
        """Return the accessible name of what has the focus."""
        [node] = [node for node in self._accessible() if node.role != "RootWebArea" and node.properties.get("focused")]
        return node.name

    def described(self, label: str) -> str:
        """Return what is read out with a field besides its label."""
        [node] = [node for node in self._accessible() if node.role == "textbox" and node.name == label]
        return node.description

    def unnamed(self) -> list[str]:
        """Return the roles of what can have the focus but has no name."""
        return [node.role for node in self._accessible() if node.properties.get("focusable") and not node.name]

    def terms(self, selector: str) -> dict[str, str]:
        """Return a description list below `selector`: term → description."""
        rows = self.page.locator(f"{selector} div").all()
        return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}

    def take_complaints(self) -> list[str]:
        """Return what the browser complained about so far, as expected."""
        taken, self.complaints = self.complaints, []
        return taken

    def _accessible(self) -> list["Accessible"]:
        """Return the nodes of Chromium's accessibility tree."""
        session = self._context.new_cdp_session(self.page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        session.detach()
        return [Accessible.of(node) for node in nodes if not node["ignored"]]

    def close(self) -> None:
        """Close the tab and its context."""
        self._context.close()
