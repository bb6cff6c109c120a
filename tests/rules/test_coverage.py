"""Each rule in scope is shown by a test, or excused with a reason (docs/rules)."""

from tests.support.rules import missing


def test_every_rule_has_a_test_or_an_excuse() -> None:
    assert [rule.id for rule in missing()] == []
