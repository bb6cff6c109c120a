"""The pages' style sheet and icon, the same for every tenant."""

from litestar import MediaType, Response, get

from app.pages.render import ICON, ICON_PATH, STYLES, STYLES_PATH


@get(STYLES_PATH)
async def styles() -> Response[bytes]:
    """Return the pages' style sheet."""
    return _static(STYLES, MediaType.CSS)


@get(ICON_PATH)
async def icon() -> Response[bytes]:
    """Return the pages' icon."""
    return _static(ICON, "image/svg+xml")


def _static(content: bytes, media_type: str) -> Response[bytes]:
    return Response(
        content,
        media_type=media_type,
        headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )
