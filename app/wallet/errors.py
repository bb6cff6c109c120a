"""What can go wrong for a wallet, each with the exit code of the command."""


class WalletError(Exception):
    """The wallet cannot go on; `code` is short and stable, `description` is for people."""

    exit_code = 1
    label = "refused"

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description


class ServerRefused(WalletError):
    """The server answered with an error; code and description are the server's words."""

    label = "the server refused"


class WalletRefused(WalletError):
    """The wallet does not accept what it was given: a broken rule, an unsafe address, a bad credential."""

    label = "the wallet refused"


class Misused(WalletError):
    """The command was called with something it cannot understand."""

    exit_code = 2
    label = "usage"


class Unreachable(WalletError):
    """No answer came."""

    exit_code = 3
    label = "not reachable"
