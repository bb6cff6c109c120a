"""Tenant documents in files, as commands read them."""

from pathlib import Path
from typing import Final

import click

from app.document.model import TenantDocument
from app.document.problem import Problem
from app.document.source import MAX_OCTETS
from app.document_rules.rules import Surroundings
from app.document_rules.validation import validate
from app.settings import Settings

_SUFFIXES: Final = (".yaml", ".yml", ".json")


def read_documents(source: Path, settings: Settings, *, notes: bool = False) -> list[tuple[Path, TenantDocument]]:
    """Read a document or all of a folder, or print what is wrong with any of them and exit with 1.

    What is odd is printed too; with `notes` also what is only good to know.
    """
    files = sorted(file for file in source.iterdir() if file.suffix in _SUFFIXES) if source.is_dir() else [source]
    if not files:
        raise click.ClickException(f"{source}: there is no document ({', '.join(_SUFFIXES)}) in this folder")
    surroundings = Surroundings(settings.public_url, settings.demo)
    documents: list[tuple[Path, TenantDocument]] = []
    failed = False
    for file in files:
        with file.open("rb") as stream:
            validated = validate(stream.read(MAX_OCTETS + 1), surroundings)
        for problem in validated.problems:
            if notes or problem.severity != "note":
                click.echo(_line(file, problem), err=True)
        if validated.document is None:
            failed = True
            continue
        slug = validated.document.tenant.slug
        for other, document in documents:
            if document.tenant.slug == slug:
                click.echo(f"{file}: error at tenant.slug: {other} is the document of {slug} already", err=True)
                failed = True
        documents.append((file, validated.document))
    if failed:
        raise click.exceptions.Exit(1)
    return documents


def _line(file: Path, problem: Problem) -> str:
    where = f" at {problem.path}" if problem.path else ""
    return f"{file}:{problem.line}:{problem.column}: {problem.severity}{where}: {problem.message} — {problem.hint}"
