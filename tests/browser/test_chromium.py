"""Without Chromium nothing passes silently."""

import pytest

from tests.browser import chromium

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("demand", [("CI", "true"), ("VESTIBULE_TEST_REQUIRE_BROWSER", "1")])
def test_where_chromium_is_demanded_its_absence_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, demand: tuple[str, str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(*demand)
    with pytest.raises(RuntimeError, match="CHROMIUM IS NOT INSTALLED"):
        chromium.find()


def test_elsewhere_its_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("VESTIBULE_TEST_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="CHROMIUM IS NOT INSTALLED"):
        chromium.find()
