"""Whether the process lives, and whether it can serve. Nothing else is told (O-18)."""

from litestar import get

from app.endpoints.wire import HttpRequest, JsonAnswer, json_answer
from app.endpoints.wired import wired


@get("/healthz")
async def healthz() -> JsonAnswer:
    """Answer: the process lives."""
    return json_answer({"status": "ok"})


@get("/readyz")
async def readyz(request: HttpRequest) -> JsonAnswer:
    """Answer 200 where the database answers, else 503."""
    if await wired(request).platform.is_reachable():
        return json_answer({"status": "ok"})
    return json_answer({"status": "unavailable"}, status_code=503, headers={"Retry-After": "5"})
