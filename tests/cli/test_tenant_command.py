"""`vestibule tenant` and `vestibule keys` as an operator meets them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from app.cli import vestibule
from tests.document.test_reader import CONFIG, EXAMPLE, MINIMAL

SMALL = MINIMAL + "clients: {unknown_public: {redirect_uris: ['http://localhost/cb']}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    return tmp_path / "documents"


def run(folder: Path, *arguments: str, demo: bool = True, stdin: str | None = None) -> Result:
    environ = {"VESTIBULE_DATA_DIRECTORY": str(folder.parent / "var"), "VESTIBULE_DEMO": "true" if demo else "false"}
    return CliRunner().invoke(vestibule, arguments, env=environ, input=stdin)


def test_validate_prints_every_problem_where_editors_find_it(folder: Path) -> None:
    file = folder / "acme.yaml"
    file.write_text(SMALL.replace("slug: acme", "slug: Acme!").replace("from: user", "from: usr"))
    result = run(folder, "tenant", "validate", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{file}:3:3: error at tenant.slug: This is not in the right form."
        " — Use 1 to 63 lower-case letters, digits and hyphens.",
        f"{file}:16:18: error at credentials.badge.claims[0].source.from:"
        " This must be `user` or `step` or `constant` or `presentation`. — Did you mean `user`?",
    ]


def test_validate_needs_no_database_and_accepts_odd_documents(folder: Path) -> None:
    (folder / "acme.yaml").write_text(MINIMAL)
    (folder / "notes.txt").write_text("not a document")
    result = run(folder, "tenant", "validate", str(folder))
    assert result.exit_code == 0
    assert result.stdout == f"{folder}/acme.yaml: acme is valid\n"
    assert "warning at clients: No wallet can use this tenant." in result.stderr
    assert not (folder.parent / "var").exists()


def test_a_folder_without_documents_and_a_file_that_is_not_there(folder: Path) -> None:
    assert run(folder, "tenant", "validate", str(folder)).exit_code == 1
    assert run(folder, "tenant", "validate", str(folder / "none.yaml")).exit_code == 2


def test_two_documents_of_one_tenant_are_refused(folder: Path) -> None:
    (folder / "a.yaml").write_text(SMALL)
    (folder / "b.json").write_text(SMALL)
    result = run(folder, "tenant", "validate", str(folder))
    assert result.exit_code == 1
    assert "is the document of acme already" in result.stderr


def test_the_schema_is_json(folder: Path) -> None:
    result = run(folder, "tenant", "schema")
    assert json.loads(result.stdout)["$id"] == "urn:vestibule:tenant:1"


def test_a_bad_document_in_a_folder_keeps_the_good_ones_from_being_applied(folder: Path) -> None:
    (folder / "a.yaml").write_text(SMALL)
    (folder / "b.yaml").write_text("x")
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 1
    assert not (folder.parent / "var").exists()


def test_the_life_of_a_tenant(folder: Path) -> None:
    file = folder / "pid-provider.yaml"
    file.write_bytes(EXAMPLE)
    assert run(folder, "tenant", "apply", str(file), demo=False).exit_code == 1

    result = run(folder, "tenant", "apply", "--dry-run", str(file))
    assert result.stdout.splitlines()[:2] == ["pid-provider: would be created", "  add sequence sign-in-and-confirm"]
    assert run(folder, "tenant", "list").stdout == ""

    result = run(folder, "tenant", "apply", str(file))
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "pid-provider: created, revision 1")
    assert run(folder, "tenant", "apply", str(file)).stdout == "pid-provider: unchanged, revision 1\n"
    file.write_bytes(EXAMPLE.replace(b"name: Demonstration wallet", b"name: Wallet"))
    result = run(folder, "tenant", "apply", str(file))
    assert result.stdout.splitlines() == ["pid-provider: changed, revision 2", "  change client demo-wallet"]

    listed = run(folder, "tenant", "list").stdout
    assert listed == "pid-provider  active  revision 2  http://localhost:8000/pid-provider\n"
    shown = run(folder, "tenant", "show", "pid-provider").stdout
    assert "credential  pid (dc+sd-jwt, urn:eudi:pid:1; steps: login, confirm)" in shown
    as_json = run(folder, "tenant", "show", "pid-provider", "--json").stdout
    assert json.loads(as_json)["clients"]["registered"][0]["name"] == "Wallet"
    for output in (shown, as_json):
        assert "vestibule-demo" not in output
        assert "Mustermann" not in output

    assert [line.split()[1] for line in run(folder, "keys", "list", "pid-provider").stdout.splitlines()].count(
        "credential"
    ) == 1
    anchor = x509.load_pem_x509_certificate(run(folder, "keys", "anchor", "pid-provider").stdout.encode())
    assert "development" in anchor.subject.rfc4514_string()

    assert run(folder, "tenant", "delete", "pid-provider", stdin="n\n").exit_code == 1
    assert run(folder, "tenant", "delete", "pid-provider", "--yes").exit_code == 0
    for arguments in (["tenant", "apply", str(file)], ["tenant", "show", "pid-provider"], ["keys", "list", "x"]):
        result = run(folder, *arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")


def test_a_data_key_is_rotated(folder: Path) -> None:
    (folder / "acme.yaml").write_text(SMALL)
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    shown = run(folder, "tenant", "show", "acme", "--json").stdout
    for number in (2, 3):
        result = run(folder, "keys", "rotate", "--purpose", "data", "acme")
        assert (result.exit_code, result.stderr) == (0, "")
        # The document and three private keys.
        assert result.stdout.splitlines() == [
            f"acme: data key {number} is in use from now on",
            "values resealed: 4",
            "nothing is left under an older data key",
        ]
    assert run(folder, "tenant", "show", "acme", "--json").stdout == shown
    result = run(folder, "keys", "rotate", "--purpose", "data", "other")
    assert (result.exit_code, result.stdout) == (1, "")


def keys_of(folder: Path, slug: str) -> list[tuple[str, str, str]]:
    """Return identifier, purpose and last word of every key that is listed."""
    lines = run(folder, "keys", "list", slug).stdout.splitlines()
    return [(words[0], words[1], words[-1]) for words in map(str.split, lines)]


def test_signing_keys_are_rotated_and_retired(folder: Path) -> None:
    (folder / "acme.yaml").write_text(SMALL)
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    old = {purpose: identifier for identifier, purpose, state in keys_of(folder, "acme") if state == "use"}
    assert old.keys() == {"access_token", "credential", "development_ca", "data", "master"}
    assert run(folder, "keys", "retire", "acme", old["access_token"], "--yes").exit_code == 1

    result = run(folder, "keys", "rotate", "acme", "--purpose", "access-token")
    assert result.stdout.startswith("acme: access tokens are signed with ")
    result = run(folder, "keys", "rotate", "acme", "--purpose", "credential")
    assert "apply the tenants again that trust acme" in result.stdout
    new = {purpose: identifier for identifier, purpose, state in keys_of(folder, "acme") if state == "use"}
    assert {purpose for purpose in new if new[purpose] != old[purpose]} == {
        "access_token",
        "credential",
        "development_ca",
    }
    for purpose in ("access_token", "credential", "development_ca"):
        assert (old[purpose], purpose, "active") in keys_of(folder, "acme")
        assert run(folder, "keys", "retire", "acme", old[purpose], stdin="n\n").exit_code == 1
        result = run(folder, "keys", "retire", "acme", old[purpose], "--yes")
        assert (result.exit_code, result.stdout) == (0, f"acme: {purpose} key {old[purpose]} is retired\n")
        assert (old[purpose], purpose, "active") not in keys_of(folder, "acme")
    result = run(folder, "keys", "retire", "acme", old["credential"], "--yes")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("key_id", ["-3cVFxX_LSbc", "--cVFxX_LSbc", "-y", "-"])
def test_a_key_may_begin_with_a_hyphen(folder: Path, key_id: str) -> None:
    (folder / "acme.yaml").write_text(SMALL)
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    result = run(folder, "keys", "retire", "acme", key_id, "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"acme has no signing key '{key_id}'" in result.stderr


def test_data_keys_are_wrapped_by_a_new_master_key(folder: Path) -> None:
    (folder / "acme.yaml").write_text(SMALL)
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    file = folder.parent / "var" / "master.key"
    file.write_text("A" * 43 + "\n" + file.read_text())
    first, second = [identifier for identifier, purpose, _ in keys_of(folder, "acme") if purpose == "master"]
    assert f"wrapped by {second}" in run(folder, "keys", "list", "acme").stdout
    assert [run(folder, "keys", "rewrap").stdout for _ in range(2)] == [
        "data keys wrapped anew: 1\n",
        "data keys wrapped anew: 0\n",
    ]
    assert f"wrapped by {first}" in run(folder, "keys", "list", "acme").stdout


def test_another_master_key_is_told_and_changes_nothing(folder: Path) -> None:
    (folder / "acme.yaml").write_text(SMALL)
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    made = folder.parent / "var" / "master.key"
    kept = made.rename(folder.parent / "kept.key")
    for arguments in (["tenant", "show", "acme"], ["keys", "list", "acme"], ["keys", "rewrap"]):
        result = run(folder, *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "The database needs master key" in result.stderr
    kept.replace(made)
    assert run(folder, "tenant", "show", "acme").exit_code == 0


@pytest.fixture
def two_tenants(folder: Path) -> Path:
    """The documents of the demonstration, the trusting one first by its name."""
    (folder / "a.yaml").write_bytes(CONFIG["university"])
    (folder / "b.yaml").write_bytes(CONFIG["pid-provider"])
    return folder


def test_a_folder_is_applied_in_the_order_of_trust(two_tenants: Path) -> None:
    folder = two_tenants
    result = run(folder, "tenant", "validate", str(folder))
    assert result.exit_code == 0
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["note at issuer.origin"]

    assert run(folder, "tenant", "apply", str(folder / "a.yaml")).stderr.splitlines() == [
        "Error: There is no tenant 'pid-provider' to trust: apply its document first, or together with this one."
    ]
    dry = run(folder, "tenant", "apply", "--dry-run", str(folder)).stdout.splitlines()
    assert [line for line in dry if not line.startswith(" ")] == [
        "pid-provider: would be created",
        "university: would be created",
    ]
    applied = run(folder, "tenant", "apply", str(folder)).stdout.splitlines()
    assert [line for line in applied if not line.startswith(" ")] == [
        "pid-provider: created, revision 1",
        "university: created, revision 1",
    ]
    assert {"  add trust pid-provider", "  add presentation for-diploma", "  add presentation for-student-card"} <= set(
        applied
    )
    assert run(folder, "tenant", "apply", str(folder)).stdout.splitlines() == [
        "pid-provider: unchanged, revision 1",
        "university: unchanged, revision 1",
    ]
    shown = run(folder, "tenant", "show", "university").stdout
    assert "trust       pid-provider (tenant pid-provider, http://localhost:8000/pid-provider)" in shown
    assert "steps: present, confirm; holder binding: unlinked)" in shown
    stored = json.loads(run(folder, "tenant", "show", "university", "--json").stdout)
    anchor = run(folder, "keys", "anchor", "pid-provider").stdout
    assert stored["trust"]["pid-provider"]["resolved"]["anchors"] == [anchor]


def test_what_is_only_good_to_know_is_told_by_validate_alone(two_tenants: Path) -> None:
    odd = two_tenants / "odd.yaml"
    odd.write_text(MINIMAL)

    def told(*command: str) -> list[str]:
        result = run(two_tenants, "tenant", *command, str(two_tenants))
        return [line.split(": ")[1] for line in result.stderr.splitlines()]

    assert told("validate") == ["note at issuer.origin", "warning at clients"]
    assert told("apply", "--dry-run") == told("apply") == told("diff") == ["warning at clients"]


def test_tenants_that_wait_for_each_other_are_named(folder: Path) -> None:
    for slug, other in (("acme", "bolt"), ("bolt", "acme")):
        trust = f"trust: {{them: {{type: tenant, tenant: {other}}}}}\n"
        (folder / f"{slug}.yaml").write_text(SMALL.replace("slug: acme", f"slug: {slug}") + trust)
    result = run(folder, "tenant", "apply", str(folder))
    assert result.exit_code == 1
    assert "trust each other or wait for those that do: acme, bolt." in result.stderr


def test_what_would_change_is_shown(two_tenants: Path) -> None:
    folder = two_tenants
    result = run(folder, "tenant", "diff", str(folder))
    assert result.exit_code == 4
    assert "+++ university: given" in result.stdout
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    result = run(folder, "tenant", "diff", str(folder))
    assert (result.exit_code, result.stdout) == (0, "")

    changed = CONFIG["pid-provider"].replace(b"password: vestibule-demo", b"password: another-secret")
    (folder / "b.yaml").write_bytes(changed.replace(b"name: Demonstration wallet", b"name: Wallet"))
    result = run(folder, "tenant", "diff", str(folder))
    assert result.exit_code == 4
    assert [line for line in result.stdout.splitlines() if line[:1] in "+-"] == [
        "--- pid-provider: stored",
        "+++ pid-provider: given",
        "-    name: Demonstration wallet",
        "+    name: Wallet",
        "-  password: as it is",
        "+  password: another, or another hint at it",
    ]
    (folder / "b.yaml").write_text("x")
    result = run(folder, "tenant", "diff", str(folder))
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_tenant_is_exported_and_applied_again(two_tenants: Path) -> None:
    folder = two_tenants
    assert run(folder, "tenant", "apply", str(folder)).exit_code == 0
    exported = folder / "exported"
    exported.mkdir()
    for slug in ("pid-provider", "university"):
        file = exported / f"{slug}.yaml"
        assert run(folder, "tenant", "export", slug, "--output", str(file)).stdout == ""
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text() == run(folder, "tenant", "export", slug).stdout
        assert "password: " not in file.read_text()
        assert "resolved" not in file.read_text()
        as_json = json.loads(run(folder, "tenant", "export", slug, "--json").stdout)
        assert as_json["tenant"]["slug"] == slug
        again = run(folder, "tenant", "export", slug, "--output", str(file))
        assert (again.exit_code, again.stderr) == (1, f"Error: {file} cannot be made: File exists\n")
    assert run(folder, "tenant", "validate", str(exported)).exit_code == 0
    assert run(folder, "tenant", "apply", str(exported)).stdout.splitlines() == [
        "pid-provider: unchanged, revision 1",
        "university: unchanged, revision 1",
    ]
    assert run(folder, "tenant", "export", "nobody").exit_code == 1
