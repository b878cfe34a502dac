"""Nobody looks without the terminal's token, nobody writes without a form of their own session."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
FORM = "application/x-www-form-urlencoded"
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
    if host in ("10.0.0.1", "example.org"):
        assert Place(host=host, certificate=tmp_path / "a", key=tmp_path / "b").scheme == "https"
    with pytest.raises(ParameterError, match="needs its key"):
        Place(certificate=tmp_path / "a")


def _entries(office: Office) -> int:
    with office.workspace.ledger() as ledger:
        return len(ledger.entries())


# --- found by a stranger who sent what no form sends ---


def test_a_form_of_any_size_is_not_read_to_its_end(office: Office) -> None:
    """Any page in the browser may post to the sign-in page; what it sends must not fill the memory."""
    made = client(office, signed_in=False)
    sent: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(200):
            sent.append(number)
            yield b"token=" + b"x" * 10_000 + b"&"

    assert made.post("/login", content=chunks(), headers={"content-type": FORM}).status_code == 413
    assert made.post("/login", content=b"token=" + b"x" * 300_000, headers={"content-type": FORM}).status_code == 413
    assert made.post("/login", data={"token": "x" * 1000}).status_code == 403


@pytest.mark.parametrize("before", ["9" * 5000, "9" * 30, "-1", "²", "٣", "x", "1e9"])
def test_any_place_in_the_ledger_may_be_asked_for(office: Office, before: str) -> None:
    assert client(office).get("/ledger", params={"before": before}).status_code == 200


@pytest.mark.parametrize(
    "name", ["..%2f..", "..%2f..%2fvault", "%00", "a%00b", "x" * 300, "%ff", "<script>alert(1)</script>", "%0d%0aX: y"]
)
@pytest.mark.parametrize("page", ["", "/report", "/bundle"])
def test_a_draft_s_name_is_no_path(office: Office, name: str, page: str) -> None:
    answer = client(office).get(f"/drafts/{name}{page}")
    assert answer.status_code in (404, 409, 303)
    assert "<script>alert" not in answer.text


def test_a_session_that_was_ended_stays_ended(office: Office) -> None:
    """The cookie holds the session, so whoever copied it before could go on."""
    made = client(office)
    kept = made.cookies["dpsynth_console"]
    assert made.post("/logout", data={"csrf": csrf(made.get("/").text)}).status_code == 303
    made.cookies.set("dpsynth_console", kept)
    assert made.get("/").status_code == 303


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "localhost"])
def test_every_loopback_name_that_may_listen_may_be_called(office: Office, host: str) -> None:
    secrets, place = Secrets(), Place(host=host)
    app = make_app(office.workspace, secrets=secrets, hosts=place.names)
    made = TestClient(app, base_url=f"http://{place.shown}:8371", follow_redirects=False)
    assert made.get("/login", params={"token": secrets.token}).status_code == 303
    assert made.get("/").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_with_a_certificate_too_a_browser_needs_a_name_to_call(host: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="every address"):
        Place(host=host, certificate=tmp_path / "a", key=tmp_path / "b")


def test_one_key_given_twice_is_one_person(office: Office, tmp_path: Path) -> None:
    from dpsynth.web.views import people_at

    again = tmp_path / "ada-again.key"
    again.write_bytes(office.ada.read_bytes())
    name = Signer.load(office.ada).key_id
    assert len(people_at(office.workspace, {office.ada: name, again: name})) == 1


def test_what_nobody_foresaw_is_told_without_its_words(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of another library's error may quote a cell."""
    from dpsynth.web import views

    def fails(*_: object) -> None:
        raise KeyError("diagnosis of patient 4711")

    monkeypatch.setattr(views, "queue", fails)
    secrets = Secrets()
    app = make_app(office.workspace, secrets=secrets)
    made = TestClient(app, base_url=BASE, follow_redirects=False, raise_server_exceptions=False)
    made.get("/login", params={"token": secrets.token})
    answer = made.get("/")
    assert answer.status_code == 500
    assert "KeyError" in answer.text and "4711" not in answer.text
    assert answer.headers["content-security-policy"] == PAGE_POLICY
