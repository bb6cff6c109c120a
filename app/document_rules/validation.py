"""Whether a text is a tenant document: the one check, whoever brings it."""

from msgspec import Struct

from app.document import reader
from app.document.model import TenantDocument
from app.document.problem import Problem, locate
from app.document_rules import rules
from app.document_rules.rules import Surroundings


class Validated(Struct, frozen=True):
    """The document, or None where at least one problem is an error; the problems in the order of the text."""

    document: TenantDocument | None
    problems: list[Problem]


def validate(data: bytes, surroundings: Surroundings) -> Validated:
    """Read and judge one document; raises nothing, whatever the octets."""
    reading = reader.read(data)
    document, findings = reading.document, reading.findings
    if document is not None:
        findings = rules.check(document, surroundings)
        if any(finding.severity == "error" for finding in findings):
            document = None
    return Validated(document, locate(findings, reading.positions))
