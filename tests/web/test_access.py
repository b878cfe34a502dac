"""Nobody looks without the terminal's token, nobody writes without a form of their own session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from accounting.ledger import Signer
from dpsynth.core.errors import ParameterError
from dpsynth.web.access import PAGE_POLICY, REPORT_POLICY, Secrets
from dpsynth.web.app import make_app
from dpsynth.web.serve import Place
from tests.web.conftest import Office

BASE = "http://127.0.0.1"
PAGES = ("/", "/drafts/{draft}", "/drafts/{draft}/report", "/ledger", "/ledger/check", "/budgets", "/release.pub")


def client(office: Office, *keys: Path, base: str = BASE, signed_in: bool = True) -> TestClient:
    secrets = Secrets()
    app = make_app(office.workspace, keys={key: Signer.load(key).key_id for key in keys}, secrets=secrets)
    made = TestClient(app, base_url=base, follow_redirects=False)
    if signed_in:
        assert made.get("/login", params={"token": secrets.token}).status_code == 303
    return made


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_without_a_session(office: Office, page: str) -> None:
    answer = client(office, signed_in=False).get(page.format(draft=office.draft))
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_one(office: Office, page: str) -> None:
    assert client(office).get(page.format(draft=office.draft)).status_code == 200


def test_a_wrong_token_and_the_token_of_another_start_are_refused(office: Office) -> None:
    other = client(office, signed_in=False)
    assert other.get("/login", params={"token": Secrets().token}).status_code == 403
    assert other.post("/login", data={"token": "\u00e9"}).status_code == 403
    assert other.get("/").status_code == 303


def test_a_session_of_another_start_is_worth_nothing(office: Office) -> None:
    cookie = client(office).cookies["dpsynth_console"]
    other = client(office, signed_in=False)
    other.cookies.set("dpsynth_console", cookie)
    assert other.get("/").status_code == 303


def test_a_foreign_host_name_gets_nothing(office: Office) -> None:
    """DNS rebinding: the browser believes that the attacker's name is this machine."""
    assert client(office, base="http://attacker.example", signed_in=False).get("/login").status_code == 400


@pytest.mark.parametrize("page", PAGES)
def test_headers_forbid_scripts_of_others_and_frames(office: Office, page: str) -> None:
    headers = client(office).get(page.format(draft=office.draft)).headers
    policy = REPORT_POLICY if page.endswith("/report") else PAGE_POLICY
    assert headers["content-security-policy"] == policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_policy_lets_no_inline_script_run() -> None:
    scripts = [part for part in PAGE_POLICY.split("; ") if part.startswith("script-src")]
    assert scripts == ["script-src 'self'"]
    assert "script-src" not in REPORT_POLICY
    assert REPORT_POLICY.startswith("sandbox; default-src 'none'")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office: Office) -> None:
    secrets = Secrets()
    made = TestClient(make_app(office.workspace, secrets=secrets), base_url=BASE, follow_redirects=False)
    cookie = made.get("/login", params={"token": secrets.token}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("wrong", [{"csrf": ""}, {"csrf": "x"}, {}])
def test_a_form_without_the_session_s_own_token_is_refused(office: Office, wrong: dict[str, str]) -> None:
    made = client(office, office.ada)
    before = _entries(office)
    answer = made.post(
        f"/drafts/{office.draft}/withdraw", data={"reason": "x", "key": Signer.load(office.ada).key_id, **wrong}
    )
    assert answer.status_code == 409
    assert "not sent from this console" in answer.text
    assert _entries(office) == before


def test_a_form_of_another_origin_is_refused(office: Office) -> None:
    made = client(office, office.ada)
    token = csrf(made.get(f"/drafts/{office.draft}").text)
    for origin in ("http://attacker.example", "null", "http://127.0.0.1:1"):
        answer = made.post(f"/drafts/{office.draft}/withdraw", data={"csrf": token}, headers={"origin": origin})
        assert "not sent from this console" in answer.text


def test_without_a_key_of_the_ledger_nothing_is_offered_or_done(office: Office, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.key"
    Signer.generate().save(stranger)
    for keys in ((), (stranger,)):
        made = client(office, *keys)
        page = made.get(f"/drafts/{office.draft}").text
        assert "<form" not in page.partition("<main")[2]
        before = _entries(office)
        answer = made.post(f"/drafts/{office.draft}/withdraw", data={"csrf": csrf(page), "reason": "x", "key": ""})
        assert answer.status_code == 409
        assert _entries(office) == before


def test_a_revoked_key_is_offered_nothing_more(tmp_path: Path, office: Office) -> None:
    from dpsynth.web.views import people_at
    from dpsynth.workspace.keys import add_key, make_pair, revoke_key

    key = tmp_path / "carl.key"
    signer, public = make_pair(key)
    add_key(office.workspace, public, "review")
    assert [person.role for person in people_at(office.workspace, {key: signer.key_id})] == ["review"]
    revoke_key(office.workspace, signer.key_id, "left")
    assert people_at(office.workspace, {key: signer.key_id}) == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org", "::"])
def test_another_host_than_loopback_needs_a_certificate(host: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="can be reached from other machines"):
        Place(host=host)
    assert Place(host=host, certificate=tmp_path / "a", key=tmp_path / "b").scheme == "https"
    with pytest.raises(ParameterError, match="needs its key"):
        Place(certificate=tmp_path / "a")


def _entries(office: Office) -> int:
    with office.workspace.ledger() as ledger:
        return len(ledger.entries())
