"""Sequences with presentations: where claims come from, and what links keys and persons."""

import pytest

from app.document.reader import read
from app.document_rules.rules import Surroundings
from app.document_rules.validation import validate
from tests.document.presenting import Change, Problem, changed, found
from tests.document.test_reader import CONFIG, MINIMAL
from tests.document.test_rules import problems

SHOW = "{type: presentation, id: show, presentation: id}"
LOGIN = "{type: login, id: login}"
CONFIRM = "{type: confirm, id: agree}"
BINDING = "    holder_binding: same_key\n"
NAME = "{path: [name], source: {from: presentation, step: show, credential: pid}}"
SOURCE = "{from: presentation, step: show, credential: pid}"
COUNTRY = "path: [home, country]}}"
VCT = "    vct: urn:acme:badge\n"
BADGE = "credentials.badge"
ERROR, WARNING, NOTE = "error", "warning", "note"


def steps(*each: str) -> Change:
    """The steps of the one sequence."""
    return (SHOW, "\n      - ".join(each))


def from_user(path: str = "[name]") -> str:
    return f"{{from: user, path: {path}}}"


def presented(step: str = "show", credential: str = "pid", path: str = "[name]") -> str:
    return f"{{from: presentation, step: {step}, credential: {credential}, path: {path}}}"


def same_person(*pairs: str) -> Change:
    """The policy of the one credential."""
    return (VCT, f"{VCT}    same_person: [{', '.join(f'[{pair}]' for pair in pairs)}]\n")


UNCHECKED: Change = (VCT, f"{VCT}    same_person: unchecked\n")
USER_NAME: Change = (NAME, "{path: [name], source: {from: user}}")
USED: Change = ("- {path: [name]}", "- {path: [name], values: [a]}")
"""The query asks for the name whether or not a credential takes it."""
SIGN_IN = [steps(LOGIN, SHOW), USER_NAME, USED]
"""One claim from the person who signed in, one from the presentation."""
TWICE = [
    steps(SHOW, "{type: presentation, id: again, presentation: id}"),
    (NAME, f"{{path: [name], source: {presented('again')}}}"),
]
"""Claims of two presentations."""
PAIR = f"{from_user()}, {presented()}"

RULES = [
    pytest.param(
        [(SOURCE, "{from: presentation, step: shwo, credential: pid}")],
        (ERROR, f"{BADGE}.claims[0].source.step", "The sequence has no such step."),
        id="no such step",
    ),
    pytest.param(
        [
            steps(SHOW, LOGIN),
            (SOURCE, "{from: presentation, step: login, credential: pid}"),
            USED,
            same_person(f"{from_user()}, {presented()}"),
        ],
        (ERROR, f"{BADGE}.claims[0].source.step", "Nothing is presented in this step."),
        id="no presentation step",
    ),
    pytest.param(
        [(SOURCE, "{from: presentation, step: show, credential: pdi}"), USED],
        (ERROR, f"{BADGE}.claims[0].source.credential", "The step asks for no such credential."),
        id="no such query",
    ),
    pytest.param(
        [(SOURCE, "{from: step, step: show, path: [name]}"), USED],
        (ERROR, f"{BADGE}.claims[0].source.path", "The step has no such result."),
        id="a presentation has no results",
    ),
    pytest.param(
        [("- {path: [name]}", "- {path: [surname], values: [a]}")],
        (ERROR, f"{BADGE}.claims[0].source.path", "The query does not ask for this claim."),
        id="not asked for",
        marks=pytest.mark.rule("REQ-14", "DE-10"),
    ),
    pytest.param(
        [("- {path: [name]}", "- {path: [name, first]}")],
        (ERROR, f"{BADGE}.claims[0].source.path", "The query does not ask for this claim."),
        id="only a part is asked for",
    ),
    pytest.param(
        [
            ("meta: {vct_values: ['urn:pid']}", "meta: {vct_values: ['urn:pid']}\n          multiple: true"),
            (f"      - {NAME}\n", ""),
            USED,
        ],
        (
            ERROR,
            f"{BADGE}.claims[0].source.credential",
            "Several credentials may be presented for this query, so it is not clear whose claim this is.",
        ),
        id="several credentials",
    ),
    pytest.param(
        [(BINDING, "")],
        (ERROR, "sequences.shown", "`holder_binding` is missing: presented claims go into badge."),
        id="holder binding not said",
    ),
    pytest.param(
        [
            (BINDING, ""),
            (NAME, "{path: [member], source: {from: constant, value: true}}"),
            (f"      - {{path: [country], source: {presented(path='[home, country]')}}}\n", ""),
            ("          claims:\n            - {path: [name]}\n            - {path: [home, country]}\n", ""),
        ],
        (
            WARNING,
            "sequences.shown",
            "Nothing links the credentials to the key of the presentation they are given for.",
        ),
        id="holder binding not said of a mere condition",
    ),
    pytest.param(
        [steps(CONFIRM, SHOW)],
        (
            ERROR,
            "sequences.shown.steps[0]",
            "Nobody has signed in or presented anything when this step asks to confirm.",
        ),
        id="confirm first",
    ),
    pytest.param(
        [steps(SHOW, "{type: confirm, id: agree, show_values: true}")],
        (
            ERROR,
            "sequences.shown.steps[1].show_values",
            "Values are shown to somebody who signed in, and nobody has.",
        ),
        id="values for nobody",
    ),
    pytest.param(
        [steps(SHOW, CONFIRM, "{type: presentation, id: again, presentation: id}")],
        (
            WARNING,
            "sequences.shown.steps[1]",
            "After this page the wallet has to present; no published wallet library goes on there.",
        ),
        id="page before presentation",
    ),
    pytest.param(
        [("issuer: {origin: 'https://acme.example'}\n", "")],
        (
            NOTE,
            "issuer.origin",
            "Presentations have the same audience here as at other tenants of the public URL; nonces tell them apart.",
        ),
        id="shared origin",
    ),
    pytest.param(
        SIGN_IN,
        (ERROR, BADGE, "`same_person` is missing: the claims come from several steps (login, show)."),
        id="sign-in and presentation",
        marks=pytest.mark.rule("A-18"),
    ),
    pytest.param(
        TWICE,
        (ERROR, BADGE, "`same_person` is missing: the claims come from several steps (again, show)."),
        id="two presentations",
        marks=pytest.mark.rule("A-18"),
    ),
    pytest.param(
        [
            steps(LOGIN, SHOW),
            (NAME, "{path: [name], source: {from: step, step: login, path: [username]}}"),
            USED,
        ],
        (ERROR, BADGE, "`same_person` is missing: the claims come from several steps (login, show)."),
        id="a result of the sign-in and a presentation",
        marks=pytest.mark.rule("A-18"),
    ),
    pytest.param(
        [UNCHECKED],
        (ERROR, f"{BADGE}.same_person", "The claims do not come from several steps."),
        id="nothing to check",
    ),
    pytest.param(
        [*SIGN_IN, same_person(f"{{from: user}}, {presented()}")],
        (ERROR, f"{BADGE}.same_person[0][0]", "`path` is missing."),
        id="pair without path",
    ),
    pytest.param(
        [*SIGN_IN, same_person(f"{from_user()}, {presented(path='[born]')}")],
        (ERROR, f"{BADGE}.same_person[0][1].path", "The query does not ask for this claim."),
        id="pair of a claim nobody asked for",
    ),
    pytest.param(
        [*SIGN_IN, same_person(PAIR, f"{presented()}, {presented(path='[home, country]')}")],
        (
            ERROR,
            f"{BADGE}.same_person[1]",
            "Both values come from the same place, so their being equal says nothing.",
        ),
        id="pair of one presentation",
        marks=pytest.mark.rule("A-18"),
    ),
    pytest.param(
        [*SIGN_IN, same_person(PAIR, f"{from_user()}, {{from: step, step: login, path: [username]}}")],
        (
            ERROR,
            f"{BADGE}.same_person[1]",
            "Both values come from the same place, so their being equal says nothing.",
        ),
        id="pair of one sign-in",
        marks=pytest.mark.rule("A-18"),
    ),
    pytest.param(
        [
            steps(LOGIN, SHOW, "{type: presentation, id: again, presentation: id}"),
            USER_NAME,
            same_person(f"{presented()}, {presented('again')}"),
        ],
        (ERROR, f"{BADGE}.same_person", "No pair links the person who signs in with what is presented."),
        id="sign-in linked to nothing",
        marks=pytest.mark.rule("A-18"),
    ),
]


@pytest.mark.parametrize(("changes", "problem"), RULES)
def test_a_document_that_breaks_one_rule(changes: list[Change], problem: Problem) -> None:
    kinds = {ERROR, problem[0]}
    assert [one for one in found(*changes) if one[0] in kinds] == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([(BINDING, "    holder_binding: unlinked\n")], id="unlinked"),
        pytest.param([steps(SHOW, CONFIRM)], id="a page last"),
        pytest.param([*SIGN_IN, same_person(PAIR)], id="one pair"),
        pytest.param([*SIGN_IN, UNCHECKED], id="unchecked"),
        pytest.param([*TWICE, UNCHECKED], id="two presentations unchecked: they still need one key"),
        pytest.param([*TWICE, same_person(f"{presented()}, {presented('again')}")], id="two presentations linked"),
        pytest.param(
            [
                steps(LOGIN, SHOW, "{type: confirm, id: agree, show_values: true}"),
                *SIGN_IN[1:],
                same_person(PAIR, f"{presented(path='[home, country]')}, {from_user('[home, country]')}"),
            ],
            id="two pairs",
        ),
        pytest.param([("- {path: [home, country]}", "- {path: [home]}")], id="a member of what is asked for"),
    ],
)
def test_what_is_said_is_accepted(changes: list[Change]) -> None:
    assert [one for one in found(*changes) if one[0] == ERROR] == []


def test_a_check_may_be_stricter_than_it_must_be() -> None:
    """The credential says nothing of the presentation, and yet only the person who presented gets it."""
    text = changed(*SIGN_IN, same_person(PAIR))
    country = text[text.index("      - {path: [country]") :]
    only_sign_in = text.replace(country, "").replace(BINDING, "").replace("- {path: [home, country]}", "")
    assert [problem for problem in problems(only_sign_in) if problem[0] == ERROR] == []


def test_holder_binding_where_nothing_is_presented() -> None:
    text = MINIMAL.replace("  web:\n", f"  web:\n{BINDING}")
    assert [problem[:3] for problem in problems(text) if problem[0] == ERROR] == [
        (ERROR, "sequences.web.holder_binding", "Nothing is presented in this sequence.")
    ]


@pytest.mark.parametrize(
    ("policy", "path", "message"),
    [
        ("uncheked", "", "This is of the wrong kind."),
        ("true", "", "This is of the wrong kind."),
        ("[]", "", "This must not be empty."),
        ("[[]]", "[0]", "This has fewer than 2 items."),
        (f"[[{from_user()}]]", "[0]", "This has fewer than 2 items."),
        (f"[[{PAIR}, {PAIR}]]", "[0]", "This has more than 2 items."),
        (
            f"[[{from_user()}, {{from: constant, value: x}}]]",
            "[0][1].from",
            "This must be `user` or `step` or `presentation`.",
        ),
        (f"[{PAIR}]", "", "This is of the wrong kind."),
    ],
)
def test_a_policy_that_is_none(policy: str, path: str, message: str) -> None:
    assert (ERROR, f"{BADGE}.same_person{path}", message) in found((VCT, f"{VCT}    same_person: {policy}\n"))


def test_the_demonstration_university_is_a_sound_document() -> None:
    told = validate(CONFIG["university"], Surroundings("http://localhost:8000", demo=False)).problems
    assert [(problem.severity, problem.path) for problem in told] == [(NOTE, "issuer.origin")]


@pytest.mark.rule("REQ-14")
def test_the_demonstration_university_asks_for_no_more_than_its_credentials_say() -> None:
    document = read(CONFIG["university"]).document
    assert document is not None
    asked = {
        name: [claim.path for query in presentation.dcql_query.credentials for claim in query.claims or []]
        for name, presentation in document.presentations.items()
    }
    assert asked == {
        "for-diploma": [["family_name"], ["given_name"], ["birthdate"]],
        "for-student-card": [["family_name"], ["given_name"]],
    }
    assert {name: sequence.holder_binding for name, sequence in document.sequences.items()} == {
        "present-and-confirm": "same_key",
        "present-and-confirm-unlinked": "unlinked",
        "present": "same_key",
    }
