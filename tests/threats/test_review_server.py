"""Who else asks the review server: another site, a rebound name, another user, a stolen address."""

import re
import socket

import pytest

from grader.review.access import COOKIE, MAX_BODY, TOKEN_S, Keys
from grader.review.rights import Grader

from ..review.conftest import Visitor, empty, klass, serve  # noqa: F401  (fixtures)

pytestmark = pytest.mark.any_user

MARK = {"do": "rubric-add", "words": "mine", "points": "5", "version": "0", "round": "1"}
PAGE = "/q/1/0"


@pytest.fixture
def review(klass, serve):  # noqa: F811
    made = klass(2)
    served = serve(made)
    served.klass = made
    return served


@pytest.fixture
def ann(review):
    return Visitor(review, review.graders[0])


def nothing_changed(review):
    return review.klass.store.connection.execute("SELECT count(*) FROM history").fetchone() == (0,)


def test_the_grader_s_own_browser_comes_in_and_marks(review, ann):
    assert ann.ask(PAGE, MARK)[0] == 303
    assert not nothing_changed(review)


def test_it_listens_on_this_machine_alone(review):
    assert review.socket.getsockname()[0] == "127.0.0.1"


# --- another site, in the grader's own browser ------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1", "",
     "127.0.0.1:{port}:1", "[::1]:{port}", "localhost.:{port}", "2130706433:{port}"],
)  # fmt: skip
def test_a_rebound_name_is_refused_whatever_it_knows(review, ann, host):
    host = host.format(port=review.port)
    status, _, body = ann.ask("/", Host=host)
    assert status == 403
    assert "Meier" not in body
    assert ann.ask(PAGE, MARK, Host=host, Origin=f"http://{host}")[0] == 403
    assert nothing_changed(review)


def test_two_hosts_are_none(review, ann):
    with socket.create_connection(("127.0.0.1", review.port), timeout=30) as connection:
        connection.sendall(
            f"GET {review.keys.prefix}/ HTTP/1.1\r\nHost: 127.0.0.1:{review.port}\r\n"
            f"Host: evil.example\r\nCookie: {ann.cookie}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"400", b"403")
    assert b"Meier" not in answer


def test_a_forwarded_host_changes_nothing(review, ann):
    _, headers, body = ann.ask(
        "/q/1", X_Forwarded_Host="evil.example", Forwarded="host=evil.example"
    )
    assert "evil" not in str(headers) + body


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None, "https://127.0.0.1:{port}",
                                    "http://127.0.0.1", "http://localhost:{port}"])  # fmt: skip
def test_a_form_of_another_site_changes_nothing(review, ann, origin):
    origin = origin and origin.format(port=review.port)
    assert ann.ask(PAGE, MARK, Origin=origin)[0] == 403
    assert nothing_changed(review)


def test_another_port_of_this_machine_is_another_site(review, ann):
    """A cookie knows no port: another user's page on 127.0.0.1 may send it."""
    assert ann.ask(PAGE, MARK, Origin="http://127.0.0.1:1")[0] == 403
    assert ann.ask("/", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert (
        ann.ask("/static/review.js", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    )
    assert nothing_changed(review)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_do_nothing(review, ann, method):
    status, headers, _ = ann.ask(PAGE, method=method)
    assert status == 405
    assert "access-control-allow-origin" not in headers


def test_asking_for_a_page_changes_nothing(review, ann):
    fields = "&".join(f"{name}={value}" for name, value in MARK.items())
    assert ann.ask(f"{PAGE}?{fields}")[0] == 200
    assert nothing_changed(review)


# --- another user of the machine --------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", PAGE, "/history", "/static/review.js", "/insight.csv"])
def test_who_has_not_come_in_gets_nothing(review, path):
    stranger = Visitor(review)
    for cookie in (None, f"{COOKIE}=", f"{COOKIE}=guess", f"{COOKIE}=;{COOKIE}=x"):
        status, _, body = stranger.ask(path, Cookie=cookie)
        assert status == 403
        assert "Meier" not in body


def test_without_the_path_that_nobody_knows_a_cookie_opens_nothing(review, ann):
    for prefix in ("", "/guess", review.keys.prefix[:-1], review.keys.prefix + "x"):
        assert ann.ask("/", prefix=prefix)[0] == 403


def test_the_cookie_is_for_this_path_alone_and_no_script_reads_it(review):
    address = review.address(review.graders[0])
    _, headers, _ = Visitor(review).ask(address.split(str(review.port), 1)[1], prefix="")
    assert headers["set-cookie"].split("; ")[1:] == [
        f"Path={review.keys.prefix}/", "HttpOnly", "SameSite=Strict",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/..%2f..%2fserver.py",
                                  "/static/%2e%2e/x.js", "//etc/passwd",
                                  "/static/review.css%00"])  # fmt: skip
def test_no_other_file_is_served(review, ann, path):
    assert ann.ask(path)[0] in (404, 403)


def test_a_body_without_end_is_cut(review, ann):
    assert ann.ask(PAGE, MARK | {"words": "x" * (MAX_BODY + 1)})[0] == 413
    assert ann.ask(PAGE, [("do", "x")] * 6000)[0] == 400
    assert nothing_changed(review)


def test_a_setting_leads_back_to_our_own_pages_alone(review, ann):
    for back in ("http://evil.example/", "//evil.example/", r"\\evil.example", "javascript:1",
                 f"{review.keys.prefix}/\r\nSet-Cookie: a=b",
                 f"{review.keys.prefix}//evil"):  # fmt: skip
        status, headers, _ = ann.ask("/settings", {"name": "keys", "value": "on", "back": back})
        assert (status, headers["location"]) == (303, f"{review.keys.prefix}/")
        assert "a=b" not in headers.get("set-cookie", "")


# --- a stolen address -------------------------------------------------------------------------


def test_an_address_opens_once_and_its_owner_is_told(review):
    address = review.address(review.graders[0])
    thief, owner = Visitor(review), Visitor(review)
    assert thief.enter(address) == 200
    status, _, body = owner.ask(address.split(str(review.port), 1)[1], prefix="")
    assert status == 403
    assert "used already" in body and "somebody else has used it" in body


def test_a_look_at_the_address_without_opening_it_does_not_use_it_up(review):
    address = review.address(review.graders[0])
    path = address.split(str(review.port), 1)[1]
    assert Visitor(review).ask(path, prefix="", method="HEAD")[0] == 403
    assert Visitor(review).enter(address) == 200


def test_an_address_opens_for_a_quarter_of_an_hour():
    now = [0.0]
    keys = Keys(clock=lambda: now[0])
    token = keys.token(Grader("ann"))
    now[0] = TOKEN_S + 1
    assert keys.exchange(token) is None
    assert not keys.was_used(token)


def test_tokens_are_long_and_never_the_same(review):
    tokens = {review.address(review.graders[0]).rpartition("=")[2] for _ in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 32


def test_the_address_is_no_argument_of_the_browser_s_program(monkeypatch, review):
    """Everybody on the machine reads a program's arguments."""
    import stat
    import threading
    import webbrowser
    from urllib.parse import urlparse

    from grader.cli.review import _door

    opened = threading.Event()
    seen = []

    def browser(address):
        seen.append(address)
        opened.set()

    monkeypatch.setattr(webbrowser, "open", browser)
    with _door(review, review.graders[0]):
        assert opened.wait(30)
        (address,) = seen
        assert "token" not in address and address.startswith("file:")
        from pathlib import Path

        file = Path(urlparse(address).path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        inside = re.search(r'href="([^"]*)"', file.read_text())[1]
        assert Visitor(review).enter(inside) == 200
    assert not file.exists()


# --- what every page says to the browser ------------------------------------------------------


@pytest.mark.parametrize("path", ["/", PAGE, "/q/99", "/nope", "/static/style.css"])
def test_every_answer_forbids_what_it_does_not_need(review, ann, path):
    _, headers, _ = ann.ask(path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
