"""What every part of the tenant document has in common: its base struct, names, and kinds of text."""

from typing import Annotated

from msgspec import Meta, Struct

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,63}\Z", description="1 to 63 lower-case letters, digits and hyphens")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Identifier = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="1 to 64 letters, digits, underscores and hyphens")
]
Locale = Annotated[
    str, Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z", description="a language tag such as en or de-AT")
]
Colour = Annotated[str, Meta(pattern=r"^#[0-9A-Fa-f]{6}\Z", description="a colour such as #12107c")]


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Base of every part of the document: frozen, unknown members refused."""


class Display(Part, frozen=True):
    """How something is called in one language (OpenID4VCI §12.2.4 `display`)."""

    name: Name
    locale: Locale = "en"
    description: Annotated[str, Meta(max_length=1000)] | None = None
    background_color: Colour | None = None
    text_color: Colour | None = None
