import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import base64url


@given(st.binary(max_size=100))
def test_what_is_encoded_decodes(octets: bytes) -> None:
    assert base64url.decode(base64url.encode(octets)) == octets


def test_the_rfc_example() -> None:
    # RFC 7515 Appendix C
    assert base64url.encode(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"


@pytest.mark.rule("E-17")
@pytest.mark.parametrize("text", ["A", "AA==", "AA=", "AB", "A+", "A/", " AA", "AA\n", "A A", "AAé", "ＡＡ", "AAB"])
def test_every_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)


@given(st.text(max_size=12))
def test_whatever_decodes_has_one_spelling(text: str) -> None:
    try:
        octets = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(octets) == text
