"""What a tenant asks to be presented: each rule of OpenID4VP §6 shown by a query that breaks it and nothing else."""

from typing import Any

import msgspec
import pytest

from app.document.reader import read
from app.document_rules.presentation_rules import covers
from tests.document.presenting import Change, Problem, changed, found

QUERY = "presentations.id.dcql_query"
PID = f"{QUERY}.credentials[0]"
QUERIES = "credentials:\n        - id: pid\n"
META = "meta: {vct_values: ['urn:pid']}"
CLAIMS = "          claims:\n            - {path: [name]}\n            - {path: [home, country]}\n"
NAME = "{path: [name]}"
COUNTRY = "{path: [home, country]}"
TRUST = "    trust: {pid: [state]}\n"
ERROR, WARNING = "error", "warning"


def second(ids: str = "other") -> str:
    """Another credential query behind the first."""
    return CLAIMS + f"        - {{id: {ids}, format: dc+sd-jwt, meta: {{vct_values: [x]}}}}\n"


OLD_QUERY = "{credentials: [{id: pid, format: dc+sd-jwt, meta: {vct_values: [x]}, claims: [{path: [a]}]}]}"
BOTH_TRUSTED: Change = (TRUST, "    trust: {pid: [state], other: [state]}\n")


def sets(text: str) -> Change:
    """Credential sets for two queries."""
    return (TRUST, f"      credential_sets: {text}\n    trust: {{pid: [state], other: [state]}}\n")


def test_the_base_has_no_problem() -> None:
    assert found() == []


RULES = [
    pytest.param(
        [(CLAIMS, second("pid"))],
        (ERROR, f"{QUERY}.credentials[1].id", "Another credential has this id."),
        id="id twice",
        marks=pytest.mark.rule("DQ-02"),
    ),
    pytest.param(
        [(COUNTRY, COUNTRY + "\n            - {path: [name]}")],
        (ERROR, f"{PID}.claims[2].path", "This claim is asked for twice."),
        id="claim twice",
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{id: a, path: [name]}"), (COUNTRY, "{id: a, path: [home, country]}")],
        (ERROR, f"{PID}.claims[1].id", "Another claim has this id."),
        id="claim id twice",
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{id: a, path: [name]}"), (CLAIMS[-1:] + TRUST, f"\n          claim_sets: [[a]]\n{TRUST}")],
        (ERROR, f"{PID}.claims[1]", "`id` is missing."),
        id="claim without id though there are claim sets",
        marks=pytest.mark.rule("DQ-07"),
    ),
    pytest.param(
        [
            (NAME, "{id: a, path: [name]}"),
            (COUNTRY, "{id: b, path: [home, country]}\n          claim_sets: [[a, b], [a, c]]"),
        ],
        (ERROR, f"{PID}.claim_sets[1][1]", "There is no claim of this id."),
        id="claim set of an unknown claim",
        marks=pytest.mark.rule("DQ-07"),
    ),
    pytest.param(
        [(CLAIMS, second()), sets("[{options: [[pid], [pid, other, third]]}]")],
        (ERROR, f"{QUERY}.credential_sets[0].options[1][2]", "There is no credential of this id."),
        id="credential set of an unknown credential",
        marks=pytest.mark.rule("DQ-08"),
    ),
    pytest.param(
        [(CLAIMS, second()), sets("[{options: [[pid, other]], required: false}]")],
        (ERROR, f"{QUERY}.credential_sets", "Every set is optional, so presenting nothing would do."),
        id="nothing required",
    ),
    pytest.param(
        [(CLAIMS, second()), sets("[{options: [[pid]]}]")],
        (
            WARNING,
            f"{QUERY}.credentials[1]",
            "No credential set names this credential, so it is never asked for.",
        ),
        id="credential in no set",
    ),
    pytest.param(
        [(META, META + "\n          require_cryptographic_holder_binding: false")],
        (
            ERROR,
            f"{PID}.require_cryptographic_holder_binding",
            "Without holder binding whoever has a copy of the credential could present it.",
        ),
        id="no holder binding",
        marks=pytest.mark.rule("A-10", "DQ-16", "DQ-17"),
    ),
    pytest.param(
        [
            (CLAIMS, second()),
            BOTH_TRUSTED,
            ("meta: {vct_values: [x]}", "meta: {vct_values: [x]}, require_cryptographic_holder_binding: false"),
        ],
        (
            ERROR,
            f"{QUERY}.credentials[1].require_cryptographic_holder_binding",
            "Without holder binding whoever has a copy of the credential could present it.",
        ),
        id="no holder binding in a query whose claims nobody takes",
        marks=pytest.mark.rule("DQ-16"),
    ),
    pytest.param(
        [(COUNTRY, COUNTRY + "\n            - {path: [age]}")],
        (WARNING, f"{PID}.claims[2]", "No credential takes this claim."),
        id="claim nobody takes",
        marks=pytest.mark.rule("REQ-14"),
    ),
    pytest.param(
        [("presentations:\n", "presentations:\n  old: {dcql_query: " + OLD_QUERY + ", trust: {pid: [state]}}\n")],
        (WARNING, "presentations.old", "No step asks for this presentation."),
        id="presentation unused",
    ),
    pytest.param(
        [(CLAIMS, second())],
        (ERROR, "presentations.id.trust", "Nobody is trusted to have issued `other`."),
        id="nobody trusted",
    ),
    pytest.param(
        [(TRUST, "    trust: {pid: [state], pdi: [state]}\n")],
        (ERROR, "presentations.id.trust.pdi", "The query has no credential of this id."),
        id="trust for an unknown credential",
    ),
    pytest.param(
        [(TRUST, "    trust: {pid: [state, sate]}\n")],
        (ERROR, "presentations.id.trust.pid[1]", "There is no trust of this name."),
        id="unknown trust",
    ),
    pytest.param(
        [(TRUST, "    trust: {pid: [state, state]}\n")],
        (ERROR, "presentations.id.trust.pid[1]", "This name is given twice."),
        id="trust twice",
    ),
    pytest.param(
        [("{type: presentation, id: show, presentation: id}", "{type: presentation, id: show, presentation: di}")],
        (ERROR, "sequences.shown.steps[0].presentation", "There is no presentation of this name."),
        id="unknown presentation",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), RULES)
def test_a_query_that_breaks_one_rule(changes: list[Change], problem: Problem) -> None:
    assert [one for one in found(*changes) if one[0] in (ERROR, problem[0])] == [problem]


@pytest.mark.rule("DQ-07")
def test_claim_sets_need_claims() -> None:
    without = (CLAIMS, "          claim_sets: [[a]]\n")
    assert (ERROR, f"{PID}.claim_sets", "There are no claims to choose from.") in found(without)


def structural(*changes: Change) -> list[Problem]:
    """What the reader finds: the rules are not asked."""
    problems = found(*changes)
    assert read(changed(*changes).encode()).document is None
    return problems


STRUCTURE = [
    pytest.param(
        [(QUERIES, "credentials: []\n      x:\n        - id: pid\n")],
        (ERROR, f"{QUERY}.credentials", "This must not be empty."),
        marks=pytest.mark.rule("DQ-01"),
    ),
    pytest.param(
        [(QUERIES, "credentials: [pid]\n      x:\n        - id: pid\n")],
        (ERROR, f"{QUERY}.credentials[0]", "This must be a mapping."),
        marks=pytest.mark.rule("DQ-01"),
    ),
    pytest.param(
        [("- id: pid", "- id: 'p.d'")],
        (ERROR, f"{PID}.id", "This is not in the right form."),
        marks=pytest.mark.rule("DQ-02"),
    ),
    pytest.param(
        [("- id: pid", "- id: ''")],
        (ERROR, f"{PID}.id", "This is not in the right form."),
        marks=pytest.mark.rule("DQ-02"),
    ),
    pytest.param(
        [("          format: dc+sd-jwt", "          format: mso_mdoc")],
        (ERROR, f"{PID}.format", "This must be `dc+sd-jwt`."),
        marks=pytest.mark.rule("DQ-03"),
    ),
    pytest.param(
        [(f"          {META}\n", "")],
        (ERROR, PID, "`meta` is missing."),
        marks=pytest.mark.rule("DQ-03"),
    ),
    pytest.param(
        [(META, "meta: {}")],
        (ERROR, f"{PID}.meta", "`vct_values` is missing."),
        marks=pytest.mark.rule("DQ-04"),
    ),
    pytest.param(
        [(META, "meta: {vct_values: []}")],
        (ERROR, f"{PID}.meta.vct_values", "This must not be empty."),
        marks=pytest.mark.rule("DQ-04"),
    ),
    pytest.param(
        [(META, "meta: {vct_values: urn:pid}")],
        (ERROR, f"{PID}.meta.vct_values", "This must be a list."),
        marks=pytest.mark.rule("DQ-04"),
    ),
    pytest.param(
        [(META, "meta: {vct_values: [1]}")],
        (ERROR, f"{PID}.meta.vct_values[0]", "This must be text."),
        marks=pytest.mark.rule("DQ-04"),
    ),
    pytest.param(
        [(CLAIMS, "          claims: []\n")],
        (ERROR, f"{PID}.claims", "This must not be empty."),
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{path: []}")],
        (ERROR, f"{PID}.claims[0].path", "This must not be empty."),
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{path: [name, -1]}")],
        (ERROR, f"{PID}.claims[0].path[1]", "This must be 0 or more."),
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{path: [name, true]}")],
        (ERROR, f"{PID}.claims[0].path[1]", "This is of the wrong kind."),
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(NAME, "{path: name}")],
        (ERROR, f"{PID}.claims[0].path", "This must be a list."),
        marks=pytest.mark.rule("DQ-06"),
    ),
    pytest.param(
        [(CLAIMS, CLAIMS + "          claim_sets: []\n")],
        (ERROR, f"{PID}.claim_sets", "This must not be empty."),
        marks=pytest.mark.rule("DQ-07"),
    ),
    pytest.param(
        [sets("[]")],
        (ERROR, f"{QUERY}.credential_sets", "This must not be empty."),
        marks=pytest.mark.rule("DQ-08"),
    ),
    pytest.param(
        [sets("[{options: []}]")],
        (ERROR, f"{QUERY}.credential_sets[0].options", "This must not be empty."),
        marks=pytest.mark.rule("DQ-08"),
    ),
    pytest.param(
        [sets("[{options: [[]]}]")],
        (ERROR, f"{QUERY}.credential_sets[0].options[0]", "This must not be empty."),
        marks=pytest.mark.rule("DQ-08"),
    ),
    pytest.param(
        [(NAME, "{path: [name], values: []}")],
        (ERROR, f"{PID}.claims[0].values", "This must not be empty."),
        marks=pytest.mark.rule("DQ-10"),
    ),
    pytest.param(
        [(NAME, "{path: [name], values: [1.0]}")],
        (ERROR, f"{PID}.claims[0].values[0]", "This is of the wrong kind."),
        marks=pytest.mark.rule("DQ-10"),
    ),
    pytest.param(
        [(NAME, "{path: [name], values: [a, {b: c}]}")],
        (ERROR, f"{PID}.claims[0].values[1]", "This is of the wrong kind."),
        marks=pytest.mark.rule("DQ-10"),
    ),
    pytest.param(
        [(NAME, "{path: [name], values: [null]}")],
        (ERROR, f"{PID}.claims[0].values[0]", "This is of the wrong kind."),
        marks=pytest.mark.rule("DQ-10"),
    ),
    pytest.param(
        [(META, META + "\n          trusted_authorities: [{type: etsi_tl, values: ['https://l.example']}]")],
        (ERROR, f"{PID}.trusted_authorities[0].type", "This must be `aki`."),
        marks=pytest.mark.rule("DQ-11"),
    ),
    pytest.param(
        [(META, META + "\n          trusted_authorities: [{type: aki, values: []}]")],
        (ERROR, f"{PID}.trusted_authorities[0].values", "This must not be empty."),
        marks=pytest.mark.rule("DQ-11"),
    ),
    pytest.param(
        [(META, META + "\n          intent_to_retain: true")],
        (ERROR, f"{PID}.intent_to_retain", "This member is unknown."),
        marks=pytest.mark.rule("DQ-14"),
    ),
]


@pytest.mark.parametrize(("changes", "problem"), STRUCTURE, ids=range(len(STRUCTURE)))
def test_a_query_that_is_none(changes: list[Change], problem: Problem) -> None:
    assert problem in structural(*changes)


A_CLAIM = "{{id: a{0}, path: [a{0}]}}"
A_QUERY = "{{id: a{0}, format: dc+sd-jwt, meta: {{vct_values: [x]}}}}"
BOUNDS = [
    pytest.param(16, f"{QUERY}.credentials", A_QUERY, QUERIES, "credentials: LIST\n      x:\n        - id: pid\n"),
    pytest.param(16, f"{PID}.meta.vct_values", "x", META, "meta: {vct_values: LIST}"),
    pytest.param(64, f"{PID}.claims", A_CLAIM, CLAIMS, "          claims: LIST\n"),
    pytest.param(16, f"{PID}.claims[0].path", "a", NAME, "{path: LIST}"),
    pytest.param(64, f"{PID}.claims[0].values", "a{0}", NAME, "{path: [a], values: LIST}"),
    pytest.param(16, f"{PID}.claim_sets", "[a]", CLAIMS, f"{CLAIMS}          claim_sets: LIST\n"),
    pytest.param(64, f"{PID}.claim_sets[0]", "a", CLAIMS, f"{CLAIMS}          claim_sets: [LIST]\n"),
    pytest.param(16, f"{QUERY}.credential_sets", "{{options: [[pid]]}}", *sets("LIST")),
    pytest.param(16, f"{QUERY}.credential_sets[0].options", "[pid]", *sets("[{options: LIST}]")),
    pytest.param(16, f"{QUERY}.credential_sets[0].options[0]", "pid", *sets("[{options: [LIST]}]")),
]


@pytest.mark.rule("DQ-18", "J-05")
@pytest.mark.parametrize(("most", "path", "item", "before", "after"), BOUNDS)
def test_a_query_is_no_larger_than_can_be_judged_at_once(
    most: int, path: str, item: str, before: str, after: str
) -> None:
    def with_items(count: int) -> list[Problem]:
        items = ", ".join(item.format(number) for number in range(count))
        return found((before, after.replace("LIST", f"[{items}]")))

    too_many = (ERROR, path, f"This has more than {most} items.")
    assert too_many not in with_items(most)
    assert too_many in with_items(most + 1)


@pytest.mark.rule("DQ-13")
@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"])
def test_what_cannot_be_withheld_is_not_asked_for(name: str) -> None:
    problem = (ERROR, f"{PID}.claims[2].path", "This is part of every presentation and cannot be asked for.")
    assert problem in found((COUNTRY, COUNTRY + f"\n            - {{path: ['{name}', x], values: [y]}}"))
    assert found((COUNTRY, COUNTRY + f"\n            - {{path: [x, '{name}'], values: [y]}}")) == []


@pytest.mark.parametrize("name", ["iat", "sub"])
def test_what_can_be_withheld_may_be_asked_for(name: str) -> None:
    assert found((COUNTRY, COUNTRY + f"\n            - {{path: [{name}], values: [y]}}")) == []


@pytest.mark.rule("M-24")
@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
def test_what_hides_claims_is_not_asked_for(name: str) -> None:
    problem = (ERROR, f"{PID}.claims[2].path", "No claim can have this name.")
    assert found((COUNTRY, COUNTRY + f"\n            - {{path: [x, '{name}'], values: [y]}}")) == [problem]


AKI = "s9tIpPmhxdiuNkHMEWNpYim8S8Y"


@pytest.mark.rule("DQ-11")
@pytest.mark.parametrize(
    ("value", "fine"),
    [
        (AKI, True),
        ("b3db48a4f9a1c5d8ae3641cc1163696229bc4bc6", False),
        ("B3DB48A4F9A1C5D8AE3641CC1163696229BC4BC6", False),
        (AKI + "=", False),
        ("s9tIpPmhxdiuNkHMEWNpYim8S/Y", False),
        ("s9tIpPmhxdiuNkHMEWNpYim8S8Z", False),
        ("s9tIp", False),
    ],
)
def test_a_key_identifier_is_base64url(value: str, fine: bool) -> None:
    problems = found((META, META + f"\n          trusted_authorities: [{{type: aki, values: ['{value}']}}]"))
    assert [path for _, path, _ in problems] == ([] if fine else [f"{PID}.trusted_authorities[0].values[0]"])


@pytest.mark.rule("DQ-12", "DQ-14")
def test_a_query_goes_out_as_it_was_written() -> None:
    text = changed(
        (META, META + f"\n          trusted_authorities: [{{type: aki, values: [{AKI}]}}]"),
        (NAME, "{id: a, path: [name, null, 0], values: [a, 1, true]}"),
        (COUNTRY, "{id: b, path: [home]}\n          claim_sets: [[a, b], [b]]"),
        (TRUST, "      credential_sets: [{options: [[pid]]}]\n" + TRUST),
    )
    document = read(text.encode()).document
    assert document is not None
    assert msgspec.to_builtins(document.presentations["id"].dcql_query) == {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["urn:pid"]},
                "trusted_authorities": [{"type": "aki", "values": [AKI]}],
                "claims": [
                    {"id": "a", "path": ["name", None, 0], "values": ["a", 1, True]},
                    {"id": "b", "path": ["home"]},
                ],
                "claim_sets": [["a", "b"], ["b"]],
            }
        ],
        "credential_sets": [{"options": [["pid"]]}],
    }


@pytest.mark.parametrize(
    ("asked", "wanted", "covered"),
    [
        (["a"], ["a"], True),
        (["a"], ["a", "b", 0], True),
        (["a", None], ["a", 3, "b"], True),
        (["a", None], ["a", None], True),
        (["a", 0], ["a", None], False),
        (["a", 0], ["a", 1], False),
        (["a", None], ["a", "b"], False),
        (["a", "b"], ["a"], False),
        (["a"], ["b"], False),
    ],
)
def test_what_is_asked_for_includes_what_is_below(asked: list[Any], wanted: list[Any], covered: bool) -> None:
    assert covers(asked, wanted) is covered
