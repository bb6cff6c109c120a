"""Whether the process lives, and whether it can serve. Nothing else is told (O-18)."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from app.endpoints.wire import json_answer
from app.ports import Platform


@get("/healthz")
async def healthz() -> Response[bytes]:
    """Answer: the process lives."""
    return json_answer({"status": "ok"})


@get("/readyz")
async def readyz(platform: NamedDependency[SkipValidation[Platform]]) -> Response[bytes]:
    """Answer 200 where the database answers, else 503."""
    if await platform.is_reachable():
        return json_answer({"status": "ok"})
    return json_answer({"status": "unavailable"}, status_code=503, headers={"Retry-After": "5"})
