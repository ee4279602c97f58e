"""The HTML pages in a real browser: nothing a student wrote runs, loads or hides anything.

Needs Chromium on the PATH; where there is none, a parser still holds what it can, unless
GRADE_BROWSER=required says that a browser must be there.
"""

import os
import re
import shutil
import subprocess
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
POLICY = "default-src 'none'"

# Each of these would call the canary, or change the title, if it were more than text.
EVIL = (
    "<script>document.title='CANARY';fetch('URL/s')</script>"
    "<img src=URL/i onerror=\"document.title='CANARY'\">"
    "<svg onload=\"document.title='CANARY'\"><script href=URL/v></script></svg>"
    "<a href=\"javascript:document.title='CANARY'\">x</a>"
    "<meta http-equiv=refresh content='9;url=URL/m'>"
    "<style>@import 'URL/c'; tr, section, body { display: none }</style>"
    "<link rel=stylesheet href=URL/l><iframe src=URL/f></iframe><object data=URL/o></object>"
    "<form action=URL/p><input autofocus onfocus=\"document.title='CANARY'\"></form>"
    "</pre></code></td></table></body></html><base href=URL/b>"
    "--><!--'\"`]]>{{7*7}}${7*7}<%= 7*7 %>"
)


@pytest.fixture(scope="module")
def server():
    """A server that remembers what asked for it: .url, .asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"document.title='CANARY'")

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *args):
            pass

    # With threads: a browser opens connections in advance, and leaves them silent.
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def canary(server):
    """The same, with a memory of this test's own."""
    server.asked.clear()
    return server


def hostile_zip(host, notebook_text, solution, evil, name="right"):
    """A right answer with markup wherever a student may write."""
    quoted = repr(evil)
    cells = [
        f"# {evil}\nraise ValueError({quoted})",
        f"from IPython.display import HTML, Javascript, SVG, Markdown, display\n"
        f"evil = {quoted}\n"
        "for kind in (HTML, Javascript, Markdown): display(kind(evil))\n"
        "display({'image/svg+xml': evil, 'image/png': evil, 'text/html': evil}, raw=True)\n"
        "print(evil)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('a figure'); plt.show()",
        *solution(
            "right",
            mean_square=f"# {evil}\nraise ValueError({quoted})",
            sigmoid=f"x = {quoted}\nreturn type(x, (), {{}})()",
        ),
        f"def {'x' * 30}(): pass",
    ]
    document = notebook_text(cells, metadata={"title": evil, "authors": [{"name": evil}]})
    path = host.hand_in(name, [])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy.ipynb", document)
        archive.writestr("<img src=x onerror=alert(1)>.ipynb", document)
    return path


@pytest.fixture(scope="module")
def pages(toy, server, notebook_text, solution, tmp_path_factory):
    """The pages of two hostile submissions, one of them with a hostile name."""
    evil = EVIL.replace("URL", server.url)
    folder = tmp_path_factory.mktemp("html") / "pages"
    toy.write_assignment(cell_s=20)
    toy.grade(
        hostile_zip(toy, notebook_text, solution, evil),
        hostile_zip(toy, notebook_text, solution, evil, name="<b onclick=alert(1)>&'\"_x"),
        options=["--html", str(folder)],
    )
    return folder


@pytest.fixture
def document_of(tmp_path):
    """document_of(page) -> its document after its scripts have run in a browser, had it any."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None and os.environ.get("GRADE_BROWSER") == "required":
        pytest.fail(f"GRADE_BROWSER=required, and none of {', '.join(BROWSERS)} is on the PATH")
    if browser is None:
        pytest.skip("no Chromium is installed")
    profile = tmp_path / "profile"

    def open_page(page):
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-extensions", "--disable-sync",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
             f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom",
             page.as_uri()],
            capture_output=True, timeout=120, env={"HOME": str(profile), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        return done.stdout.decode("utf-8", "replace")

    return open_page


def test_the_canary_can_sing(tmp_path, canary, document_of):
    """Without this, a browser that does nothing would pass the next test."""
    page = tmp_path / "bare.html"
    page.write_text("<!doctype html><title>x</title>" + EVIL.replace("URL", canary.url))
    assert "<title>CANARY</title>" in document_of(page)
    assert canary.asked


def test_nothing_of_a_student_runs_or_loads_in_a_browser(pages, canary, document_of):
    for page in pages.iterdir():
        document = document_of(page)
        title = re.search(r"<title>(.*?)</title>", document, re.DOTALL)
        assert title, document[:300]
        assert "CANARY" not in title[1]
        assert "ValueError" in document or page.name == "index.html"
    assert canary.asked == []


def test_the_policy_alone_would_stop_it(pages, canary, tmp_path, document_of):
    """Were the escaping to fail, the page's own policy still holds."""
    page = next(p for p in pages.iterdir() if p.name != "index.html")
    text = page.read_text()
    assert POLICY in text
    evil = "<script>document.title='CANARY'</script>" + f"<img src={canary.url}/i>"
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("</body>", evil + "</body>"))
    document = document_of(broken)
    assert "<title>CANARY" not in document
    assert canary.asked == []


def test_every_page_has_a_policy_and_no_element_of_the_student_s(pages):
    for page in pages.iterdir():
        text = page.read_text()
        assert POLICY in text
        head = text.partition("<body")[0]
        assert head.index("Content-Security-Policy") < head.index("<style")
        assert re.findall(r"<(?:script|iframe|object|form|base|link|embed)\b", text) == []
        assert re.findall(r"\son\w+\s*=", re.sub(r">[^<]*<", "><", text)) == []
        assert "javascript:" not in re.sub(r">[^<]*<", "><", text)


def test_what_the_student_wrote_is_there_as_text(pages):
    page = next(p for p in pages.iterdir() if p.name != "index.html")
    assert "&lt;script&gt;document.title=" in page.read_text()
