"""Semantic rules: each one shown by a document that breaks it and nothing else."""

from typing import Any

import pytest

from app.document_rules.rules import Surroundings
from app.document_rules.validation import validate
from tests.document.test_reader import EXAMPLE, MINIMAL

DEMO = Surroundings("http://localhost:8000", demo=True)
PRODUCTION = Surroundings("https://issuer.example", demo=False)

WALLET = "clients: {registered: [{client_id: w, name: W, redirect_uris: ['https://w.example/cb']}]}\n"
BASE = MINIMAL + WALLET


def problems(text: str, surroundings: Surroundings = PRODUCTION) -> list[tuple[str, str, str, int]]:
    validated = validate(text.encode(), surroundings)
    assert (validated.document is None) == any(problem.severity == "error" for problem in validated.problems)
    return [(problem.severity, problem.path, problem.message, problem.line) for problem in validated.problems]


def changed(*changes: tuple[str, str]) -> str:
    text = BASE
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def test_the_base_has_no_problem() -> None:
    assert problems(BASE) == []


def test_the_example_has_no_problem_in_demo_mode() -> None:
    assert validate(EXAMPLE, DEMO).problems == []


def test_the_example_shows_a_password_and_so_belongs_into_demo_mode() -> None:
    (problem,) = validate(EXAMPLE, PRODUCTION).problems
    assert problem.path == "users[0].demo_hint"
    assert EXAMPLE.decode().splitlines()[problem.line - 1].strip().startswith("demo_hint:")


CLAIM = "      - path: [name]\n        source: {from: user}\n"
STEP = "{type: login, id: login}"
REDIRECT = "'https://w.example/cb'"
ERROR, WARNING = "error", "warning"

RULES: list[tuple[str, list[tuple[str, str]], tuple[str, str, str, int]]] = [
    (
        "slug reserved",
        [("slug: acme", "slug: static")],
        (ERROR, "tenant.slug", "This name is reserved.", 3),
    ),
    (
        "tenant language twice",
        [("    - name: Acme\n", "    - {name: A, locale: de}\n    - {name: B, locale: DE}\n")],
        (ERROR, "tenant.display[1].locale", "This language is given twice.", 6),
    ),
    (
        "credential language twice",
        [("      - name: Badge\n", "      - name: A\n      - name: B\n")],
        (ERROR, "credentials.badge.display[1].locale", "This language is given twice.", 14),
    ),
    (
        "claim language twice",
        [(CLAIM, CLAIM + "        display: [{name: A}, {name: B, locale: en}]\n")],
        (ERROR, "credentials.badge.claims[0].display[1].locale", "This language is given twice.", 17),
    ),
    (
        "no such sequence",
        [("sequence: web", "sequence: wbe")],
        (ERROR, "credentials.badge.sequence", "There is no sequence of this name.", 11),
    ),
    (
        "sequence unused",
        [("sequences:\n", "sequences:\n  other: {steps: [{type: login, id: a}]}\n")],
        (WARNING, "sequences.other", "No credential uses this sequence.", 18),
    ),
    (
        "step id twice",
        [(STEP, STEP + "\n      - {type: confirm, id: login}")],
        (ERROR, "sequences.web.steps[1].id", "Another step is called `login`.", 21),
    ),
    (
        "two logins",
        [(STEP, STEP + "\n      - {type: login, id: again}")],
        (ERROR, "sequences.web.steps[1]", "A person signs in twice in one sequence.", 21),
    ),
    (
        "confirm before login",
        [(STEP, "{type: confirm, id: c, show_values: true}\n      - " + STEP)],
        (
            ERROR,
            "sequences.web.steps[0]",
            "Nobody has signed in or presented anything when this step asks to confirm.",
            20,
        ),
    ),
    (
        "no such step",
        [("{from: user}", "{from: step, step: logon, path: [username]}")],
        (ERROR, "credentials.badge.claims[0].source.step", "The sequence has no such step.", 16),
    ),
    (
        "no such result of login",
        [("{from: user}", "{from: step, step: login, path: [user_name]}")],
        (ERROR, "credentials.badge.claims[0].source.path", "The step has no such result.", 16),
    ),
    (
        "within a result of login",
        [("{from: user}", "{from: step, step: login, path: [username, first]}")],
        (ERROR, "credentials.badge.claims[0].source.path", "The step has no such result.", 16),
    ),
    (
        "confirm has no results",
        [
            ("{from: user}", "{from: step, step: c, path: [username]}"),
            (STEP, STEP + "\n      - {type: confirm, id: c}"),
        ],
        (ERROR, "credentials.badge.claims[0].source.path", "The step has no such result.", 16),
    ),
    (
        "claim twice",
        [(CLAIM, CLAIM * 2)],
        (
            ERROR,
            "credentials.badge.claims[1].path",
            "This claim and claims[0] write to the same place.",
            17,
        ),
    ),
    (
        "claim within another",
        [(CLAIM, CLAIM + "      - {path: [name, first], source: {from: user}}\n")],
        (ERROR, "credentials.badge.claims[1].path", "This claim and claims[0] write to the same place.", 17),
    ),
    (
        "claim around another",
        [(CLAIM, "      - {path: [name, first], source: {from: user}}\n" + CLAIM)],
        (ERROR, "credentials.badge.claims[1].path", "This claim and claims[0] write to the same place.", 16),
    ),
    (
        "constant without value",
        [("{from: user}", "{from: constant, value: null}")],
        (ERROR, "credentials.badge.claims[0].source", "The constant has no value.", 16),
    ),
    (
        "scope of OpenID Connect",
        [("scope: badge", "scope: openid")],
        (ERROR, "credentials.badge.scope", "OpenID Connect has given this scope a meaning.", 10),
    ),
    (
        "vct with a space",
        [("urn:acme:badge", "acme badge")],
        (ERROR, "credentials.badge.vct", "This cannot name a credential type.", 9),
    ),
    (
        "vct over http",
        [("urn:acme:badge", "http://acme.example/badge")],
        (ERROR, "credentials.badge.vct", "This cannot name a credential type.", 9),
    ),
    (
        "no wallet",
        [(WALLET, "")],
        (WARNING, "clients", "No wallet can use this tenant.", 1),
    ),
    (
        "client twice",
        [("{registered: [", "{registered: [{client_id: w, name: V, redirect_uris: ['https://v.example']}, ")],
        (ERROR, "clients.registered[1].client_id", "Another client has this id.", 21),
    ),
    (
        "redirect URI of a client",
        [(REDIRECT, REDIRECT + ", 'javascript:alert(1)'")],
        (
            ERROR,
            "clients.registered[0].redirect_uris[1]",
            "The scheme javascript: cannot be used; use https, or a private-use scheme such as com.example.wallet:.",
            21,
        ),
    ),
    (
        "redirect URI of unknown clients",
        [(WALLET, "clients: {unknown_public: {redirect_uris: ['http://w.example/cb']}}\n")],
        (
            ERROR,
            "clients.unknown_public.redirect_uris[0]",
            "http is for localhost, 127.0.0.1 and [::1] only; use https.",
            21,
        ),
    ),
    (
        "user name twice",
        [(WALLET, WALLET + "users:\n  - {username: Erika, password: a}\n  - {username: ERIKA, password: b}\n")],
        (ERROR, "users[1].username", "Another user has this name.", 24),
    ),
    (
        "no password",
        [(WALLET, WALLET + "users: [{username: erika}]\n")],
        (ERROR, "users[0]", "A user has either a password or a password hash.", 22),
    ),
    (
        "hint outside demo mode",
        [(WALLET, WALLET + "users: [{username: erika, password: x, demo_hint: x}]\n")],
        (ERROR, "users[0].demo_hint", "Hints are shown in demo mode only, and this service is not in it.", 22),
    ),
    (
        "claim of a user named _sd",
        [(WALLET, WALLET + "users: [{username: e, password: x, claims: {a: [{_sd: [x]}]}}]\n")],
        (ERROR, "users[0].claims.a[0]._sd", "This name is reserved for selective disclosure.", 22),
    ),
    (
        "origin is the public URL",
        [("sequences:\n", "issuer: {origin: 'https://issuer.example'}\nsequences:\n")],
        (ERROR, "issuer.origin", "This is the service's own public URL.", 17),
    ),
]


@pytest.mark.parametrize(("changes", "problem"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_a_document_that_breaks_one_rule(changes: list[tuple[str, str]], problem: tuple[str, str, str, int]) -> None:
    found = problems(changed(*changes))
    assert [one for one in found if one[0] in (ERROR, problem[0])] == [problem]


@pytest.mark.rule("CIM-21")
def test_two_credentials_cannot_share_a_scope() -> None:
    badge = MINIMAL[MINIMAL.index("  badge:") : MINIMAL.index("sequences:")]
    text = changed(("sequences:\n", badge.replace("badge:", "second:", 1) + "sequences:\n"))
    assert [(path, message) for _, path, message, _ in problems(text)] == [
        ("credentials.second.scope", "Another credential has this scope.")
    ]


@pytest.mark.rule("M-24")
@pytest.mark.parametrize(
    "name", ["iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "_sd", "_sd_alg", "..."]
)
def test_claims_that_the_service_writes_cannot_be_configured(name: str) -> None:
    text = changed(("path: [name]", f"path: ['{name}']"))
    assert [(path, message) for _, path, message, _ in problems(text)] == [
        ("credentials.badge.claims[0].path", "This name is reserved for the credential itself.")
    ]


@pytest.mark.rule("M-24")
@pytest.mark.parametrize(
    ("name", "fine"), [("_sd", False), ("...", False), ("iss", True), ("cnf", True), ("exp", True), ("_sd_alg", False)]
)
def test_within_an_object_only_the_names_of_hidden_claims_are_reserved(name: str, fine: bool) -> None:
    assert (problems(changed(("path: [name]", f"path: [a, '{name}']"))) == []) is fine
    constant = changed(("{from: user}", f"{{from: constant, value: {{a: [{{'{name}': x}}]}}}}"))
    assert (problems(constant) == []) is fine


@pytest.mark.rule("M-24")
@pytest.mark.parametrize(
    ("parameters", "fine"),
    [
        ("v=19$m=65536,t=3,p=4", True),
        ("v=19$m=4194304,t=3,p=4", False),
        ("v=19$m=262145,t=3,p=4", False),
        ("v=19$m=65536,t=11,p=4", False),
        ("v=19$m=65536,t=0,p=4", False),
        ("v=19$m=65536,t=3,p=9", False),
        ("v=19$m=8,t=3,p=4", False),
        ("v=16$m=65536,t=3,p=4", False),
    ],
)
def test_a_password_hash_cannot_ask_for_any_amount_of_work(parameters: str, fine: bool) -> None:
    encoded = f"$argon2id${parameters}$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
    text = BASE + f"users: [{{username: erika, password_hash: '{encoded}'}}]\n"
    assert [path for _, path, _, _ in problems(text)] == ([] if fine else ["users[0].password_hash"])


@pytest.mark.parametrize(
    ("origin", "surroundings", "fine"),
    [
        ("https://pid.example", PRODUCTION, True),
        ("https://pid.example:8443", PRODUCTION, True),
        ("http://localhost:9000", DEMO, True),
        ("http://[::1]:9000", DEMO, True),
        ("http://localhost:9000", PRODUCTION, False),
        ("http://pid.example", DEMO, False),
        ("https://pid.example/", PRODUCTION, False),
        ("https://pid.example/x", PRODUCTION, False),
        ("https://pid.example:443", PRODUCTION, False),
        ("https://pid.example:0", PRODUCTION, False),
        ("https://pid.example:65536", PRODUCTION, False),
        ("https://PID.example", PRODUCTION, False),
        ("https://pid.example?x", PRODUCTION, False),
        ("https://me@pid.example", PRODUCTION, False),
        ("https://pid..example", PRODUCTION, False),
        ("https://10.0.0.1", PRODUCTION, False),
        ("https://issuer.example", PRODUCTION, False),
        ("pid.example", PRODUCTION, False),
        ("", PRODUCTION, False),
    ],
)
def test_an_origin_of_its_own(origin: str, surroundings: Surroundings, fine: bool) -> None:
    text = changed(("sequences:\n", f"issuer: {{origin: '{origin}'}}\nsequences:\n"))
    assert [path for _, path, _, _ in problems(text, surroundings)] == ([] if fine else ["issuer.origin"])


def test_private_use_schemes_by_setting_only() -> None:
    private: Any = (REDIRECT, "'com.example.wallet:/cb'")
    assert len(problems(changed(private))) == 1
    assert problems(changed(private, ("clients: {", "clients: {allow_private_use_schemes: true, "))) == []


def test_without_a_login_step_users_are_odd_and_their_claims_unreachable() -> None:
    text = changed((STEP, "{type: confirm, id: c}"), (WALLET, WALLET + "users: [{username: e, password: x}]\n"))
    assert [(severity, path, message) for severity, path, message, _ in problems(text)] == [
        (ERROR, "credentials.badge.claims[0].source", "Nobody signs in in this sequence."),
        (ERROR, "sequences.web.steps[0]", "Nobody has signed in or presented anything when this step asks to confirm."),
        (WARNING, "users", "Nobody can sign in: no sequence has a `login` step."),
    ]
