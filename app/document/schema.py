"""The tenant document as JSON Schema (Draft 2020-12), made from the structs."""

from typing import Any, Final

import msgspec

from app.document.model import TenantDocument

SCHEMA_ID: Final = "urn:vestibule:tenant:1"


def validation_schema() -> dict[str, Any]:
    r"""Return the schema as Python reads it: patterns end in `\Z`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Vestibule tenant document",
        "description": "Everything a tenant of a Vestibule service decides.",
        **msgspec.json.schema(TenantDocument),
    }


def tenant_schema() -> dict[str, Any]:
    r"""Return the schema for publication, of what people write.

    Patterns are ECMA-262, which knows no `\Z` and whose `$` is the end. What the service writes itself is left out.
    """
    schema: dict[str, Any] = _published(validation_schema())
    # Only such a member referred to it.
    del schema["$defs"]["ResolvedTenant"]
    return schema


def _published(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: inner.replace(r"\Z", "$") if name == "pattern" and isinstance(inner, str) else _published(inner)
            for name, inner in value.items()
            if not (isinstance(inner, dict) and inner.get("readOnly"))
        }
    if isinstance(value, list):
        return [_published(inner) for inner in value]
    return value
