"""The one refusal type; `app/endpoints/errors.py` is its one mapper to the wire."""


class Refusal(Exception):
    """A request is refused by a rule.

    `code` is the error code as the specification spells it (`invalid_grant`, `use_dpop_nonce`, …). `public` may
    be shown to anybody and is a fixed text; `reason` is private, goes to the log only, and holds no secret and no
    claim either. The mapper of the endpoint decides status and headers from the code.
    """

    def __init__(self, code: str, public: str = "", *, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.public = public
        self.reason = reason or public
