"""A kept answer opens for who has the handle, and for nobody else."""

from app.interaction.repetition import seal, unseal


def test_only_the_handle_opens_the_answer() -> None:
    sealed = seal(b'{"code":"c"}', auth_session="handle", session_id="s1")
    assert b"code" not in sealed
    assert unseal(sealed, auth_session="handle", session_id="s1") == b'{"code":"c"}'
    assert unseal(sealed, auth_session="other", session_id="s1") is None
    assert unseal(sealed, auth_session="handle", session_id="s2") is None
    assert unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), auth_session="handle", session_id="s1") is None
