"""A small document whose credential takes claims from a presentation, and what is found in changed forms of it."""

import json
from typing import Any

from app.document.source import parse
from tests.document.test_rules import problems

BASE = """\
schema: vestibule.tenant/1
tenant: {slug: acme, display: [{name: Acme}]}
issuer: {origin: 'https://acme.example'}
clients: {registered: [{client_id: w, name: W, redirect_uris: ['https://w.example/cb']}]}
trust:
  state: {type: tenant, tenant: state}
presentations:
  id:
    dcql_query:
      credentials:
        - id: pid
          format: dc+sd-jwt
          meta: {vct_values: ['urn:pid']}
          claims:
            - {path: [name]}
            - {path: [home, country]}
    trust: {pid: [state]}
sequences:
  shown:
    holder_binding: same_key
    steps:
      - {type: presentation, id: show, presentation: id}
credentials:
  badge:
    format: dc+sd-jwt
    vct: urn:acme:badge
    scope: badge
    sequence: shown
    display: [{name: Badge}]
    claims:
      - {path: [name], source: {from: presentation, step: show, credential: pid}}
      - {path: [country], source: {from: presentation, step: show, credential: pid, path: [home, country]}}
"""

Change = tuple[str, str]
Problem = tuple[str, str, str]
"""Severity, path, message."""


def changed(*changes: Change) -> str:
    """Return the document with texts that occur once replaced."""
    text = BASE
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def found(*changes: Change) -> list[Problem]:
    """Return the problems of a changed document, in the order of its text."""
    return [problem[:3] for problem in problems(changed(*changes))]


def found_in(**parts: Any) -> list[Problem]:
    """Return the problems of the document with whole parts of it replaced."""
    tree = {**parse(BASE.encode()).tree, **parts}
    return [problem[:3] for problem in problems(json.dumps(tree))]
