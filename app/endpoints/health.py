"""Whether the process lives, and whether it can serve. Nothing else is told (O-18)."""

from litestar import get

from app.endpoints.serving import Serving
from app.endpoints.wire import JsonAnswer, json_answer


@get("/healthz")
async def healthz() -> JsonAnswer:
    """Answer: the process lives."""
    return json_answer({"status": "ok"})


@get("/readyz")
async def readyz(serving: Serving) -> JsonAnswer:
    """Answer 200 where the database answers, else 503."""
    if await serving.platform.is_reachable():
        return json_answer({"status": "ok"})
    return json_answer({"status": "unavailable"}, status_code=503, headers={"Retry-After": "5"})
