"""Sealing: what was moved, altered or written by somebody else does not open."""

import pytest

from app.adapters.system import SystemEntropy
from app.adapters.vault import DataKeys, MasterKeys, SealBroken, TenantVault, WrappedKey
from app.ports import Entropy
from tests.support.fakes import CountedEntropy

KEY_1, KEY_2 = b"1" * 32, b"2" * 32
PLACE = ("grants", "authorization", "grant-1")


def vault(
    tenant_id: str = "tenant-a", keys: dict[int, bytes] | None = None, entropy: Entropy | None = None
) -> TenantVault:
    data_keys = DataKeys(tenant_id, keys or {1: KEY_1})
    return TenantVault(data_keys, entropy or CountedEntropy(), lambda: data_keys)


def test_what_was_sealed_opens_at_its_place() -> None:
    sealed = vault().seal(*PLACE, b"claims")
    assert b"claims" not in sealed
    assert vault().open(*PLACE, sealed) == b"claims"


@pytest.mark.rule("M-12")
@pytest.mark.parametrize(
    ("tenant_id", "place"),
    [
        ("tenant-b", PLACE),
        ("tenant-a", ("authorization_codes", "authorization", "grant-1")),
        ("tenant-a", ("grants", "user_id", "grant-1")),
        ("tenant-a", ("grants", "authorization", "grant-2")),
        ("tenant-a", ("grants", "authorizationgrant-1", "")),
    ],
    ids=["tenant", "table", "column", "row", "shifted boundary"],
)
def test_a_moved_value_does_not_open(tenant_id: str, place: tuple[str, str, str]) -> None:
    sealed = vault().seal(*PLACE, b"claims")
    with pytest.raises(SealBroken):
        vault(tenant_id).open(*place, sealed)


@pytest.mark.rule("M-14")
def test_only_the_one_form_opens() -> None:
    sealed = vault().seal(*PLACE, b"claims")
    for broken in [
        b"",
        b"claims",
        b'{"scope": "a plaintext that is long enough"}',
        b"\x00" + sealed[1:],
        b"\x02" + sealed[1:],
        sealed[:1] + (2).to_bytes(4) + sealed[5:],
        sealed[:-1],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
    ]:
        with pytest.raises(SealBroken):
            vault().open(*PLACE, broken)


@pytest.mark.rule("M-14")
def test_a_value_does_not_pass_for_one_of_another_data_key() -> None:
    both = vault(keys={1: KEY_1, 2: KEY_1})
    sealed = both.seal(*PLACE, b"claims")
    assert sealed[1:5] == (2).to_bytes(4)
    with pytest.raises(SealBroken):
        both.open(*PLACE, sealed[:1] + (1).to_bytes(4) + sealed[5:])


def test_a_new_data_key_seals_and_the_old_one_still_opens() -> None:
    old = vault().seal(*PLACE, b"claims")
    both = vault(keys={1: KEY_1, 2: KEY_2})
    assert both.open(*PLACE, old) == b"claims"
    with pytest.raises(SealBroken):
        vault().open(*PLACE, both.seal(*PLACE, b"claims"))


@pytest.mark.rule("M-15")
def test_no_nonce_comes_twice() -> None:
    sealing = vault(entropy=SystemEntropy())
    sealed = [sealing.seal(*PLACE, b"same") for _ in range(100_000)]
    assert len({value[5:17] for value in sealed}) == len(sealed)
    assert len(set(sealed)) == len(sealed)


def test_derived_keys_differ_by_purpose_and_tenant_and_survive_a_new_data_key() -> None:
    derived = vault().derive("nonces")
    assert len(derived) == 32
    assert derived != KEY_1
    assert derived != vault().derive("username index")
    assert derived != vault("tenant-b").derive("nonces")
    assert derived == vault(keys={1: KEY_1, 2: KEY_2}).derive("nonces")


def master_keys(*keys: bytes) -> MasterKeys:
    return MasterKeys(keys, CountedEntropy())


def test_the_first_master_key_wraps_and_all_unwrap() -> None:
    wrapped = master_keys(KEY_1).wrap("tenant-a", 1, b"d" * 32)
    assert b"d" * 32 not in wrapped.wrapped
    rotated = master_keys(KEY_2, KEY_1)
    assert rotated.unwrap("tenant-a", wrapped) == b"d" * 32
    again = rotated.wrap("tenant-a", 1, b"d" * 32)
    assert again.master_key_id == rotated.first != wrapped.master_key_id
    with pytest.raises(SealBroken):
        master_keys(KEY_1).unwrap("tenant-a", again)


@pytest.mark.rule("M-17")
def test_a_data_key_unwraps_for_its_tenant_and_number_only() -> None:
    keys = master_keys(KEY_1, KEY_2)
    wrapped = keys.wrap("tenant-a", 1, b"d" * 32)
    moved = WrappedKey(2, wrapped.master_key_id, wrapped.wrapped)
    for tenant_id, key in [("tenant-b", wrapped), ("tenant-a", moved)]:
        with pytest.raises(SealBroken):
            keys.unwrap(tenant_id, key)


@pytest.mark.rule("M-14")
def test_a_wrapped_key_of_another_form_is_refused() -> None:
    keys = master_keys(KEY_1)
    good = keys.wrap("tenant-a", 1, b"d" * 32)
    for wrapped in [b"d" * 32, b"", b"\x00" + good.wrapped[1:], good.wrapped[:-1] + b"\x00", good.wrapped + b"\x00"]:
        with pytest.raises(SealBroken):
            keys.unwrap("tenant-a", WrappedKey(1, good.master_key_id, wrapped))


def test_master_keys_are_32_octets_and_at_least_one() -> None:
    for keys in [[], [b"short"], [KEY_1, b"3" * 16]]:
        with pytest.raises(ValueError, match="32 octets"):
            MasterKeys(keys, CountedEntropy())
