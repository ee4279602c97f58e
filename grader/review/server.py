"""The server of `grade review`: on 127.0.0.1, for this user's own browser.

with Review(file, run, graders=graders) as review:
    review.addresses()      one for each grader; each works once
    review.serve()          until stop()
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grader.batch.store import open_store
from grader.closing import Closing
from grader.errors import GradeError, ReviewError
from grader.records import Assignment
from grader.review.access import Door, Keys, body_of
from grader.review.answers import result_of
from grader.review.classroom import AT_ONCE, Classroom
from grader.review.pages import alike, likeness, people, question, teaching, whole
from grader.review.pages.visit import Page, Refused, Visit, environment, go, render
from grader.review.rights import Grader
from grader.review.try_it import Tryout

LIMIT_FIELDS = 5_000
_FILE = re.compile(r"[a-z]+\.(?:css|js)")
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
Handler = Callable[[Visit, Mapping[str, Any]], Page]


class Review(Closing):
    """A run that is reviewed in browsers. Close it.

    port : 0 for any free one
    Raises ReviewError if the run is gone or the port can't be opened.
    """

    def __init__(
        self,
        file: Path,
        run: int,
        *,
        graders: Sequence[Grader],
        assignment: Assignment | None = None,
        port: int = 0,
        earlier: Sequence[int | Path] = (),
    ) -> None:
        """earlier : runs and folders of earlier years; see Comparison"""
        self.file = file
        self.graders = tuple(graders)
        self.room = Classroom(run, assignment)
        self.rows = whole.Rows()
        self.comparison = likeness.Comparison(earlier)
        self.tryout = Tryout(assignment)
        self.keys = Keys()
        self._turn = threading.Lock()
        self._reading: threading.Thread | None = None
        with open_store(file, create=False) as store:
            self.room.update(store, most=whole.PER_PAGE)
        # The first page is then as fast as later ones.
        self.rows.draw(self.room, self.keys.prefix)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", port))
            self.socket.listen(128)
        except OSError as error:
            self.socket.close()
            raise ReviewError(
                f"port {port} of 127.0.0.1 can't be opened ({error.strerror}): name another"
            ) from error
        self.port: int = self.socket.getsockname()[1]
        self.app = Door(self._application(), self.keys, self.port)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.keys.prefix}"

    def address(self, grader: Grader) -> str:
        """Return a new address for a grader; it works once, within a quarter of an hour."""
        return f"{self.base}/enter?token={self.keys.token(grader)}"

    def addresses(self) -> list[tuple[Grader, str]]:
        """Return each grader with a new address."""
        return [(grader, self.address(grader)) for grader in self.graders]

    def serve(self, *, started: Callable[[], None] = lambda: None) -> None:
        """Answer requests until the process is interrupted."""
        import uvicorn

        if self.room.waiting:
            # A daemon: the rest is read at the next start if the process ends before.
            self._reading = threading.Thread(target=self._read_on, daemon=True)
            self._reading.start()

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                started()

        config = uvicorn.Config(
            self.app,
            log_level="warning",
            lifespan="off",
            http="h11",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
        self.server = Server(config)
        self.server.run(sockets=[self.socket])

    def _read_on(self) -> None:
        """Read the rest of a large class while its first pages are shown."""
        with contextlib.suppress(GradeError), open_store(self.file, create=False) as store:
            while self.room.waiting > 0:
                self.room.update(store)

    def stop(self) -> None:
        """End serve(), from another thread."""
        self.server.should_exit = True

    def close(self) -> None:
        self.tryout.close()
        self.socket.close()

    # --- the pages --------------------------------------------------------------------------------

    def _application(self) -> Starlette:
        def page(path: str, get: Handler | None, post: Handler | None = None) -> Route:
            methods = ["GET"] * (get is not None) + ["POST"] * (post is not None)

            async def endpoint(request: Request) -> Response:
                form: dict[str, list[str]] = {}
                if request.method == "POST":
                    body = await body_of(request.receive)
                    if body is None:
                        return _response(Page("This form is too large.", 413))
                    try:
                        form = parse_qs(
                            body.decode(), keep_blank_values=True, max_num_fields=LIMIT_FIELDS
                        )
                    except ValueError:
                        return _response(Page("This form can't be read.", 400))
                handler = post if request.method == "POST" else get
                assert handler is not None
                return await run_in_threadpool(self._handle, handler, request, form)

            return Route(path, endpoint, methods=methods)

        return Starlette(
            routes=[
                page("/", lambda visit, _: whole.show_class(visit, self.rows)),
                page("/q/{place:int}", lambda v, p: question.open_question(v, p["place"])),
                page(
                    "/q/{place:int}/alike",
                    lambda v, p: alike.show_groups(v, p["place"]),
                    lambda v, p: alike.change_group(v, p["place"]),
                ),
                page(
                    "/q/{place:int}/{number:int}",
                    lambda v, p: question.show_question(v, p["place"], p["number"]),
                    lambda v, p: question.change_question(v, p["place"], p["number"]),
                ),
                page("/q/{place:int}/{number:int}/try", None, self._try),
                page("/insight", lambda v, _: teaching.show_insight(v)),
                page("/insight.{kind:str}", lambda v, p: _insight_file(v, p["kind"])),
                page("/likeness", lambda v, _: likeness.show_likeness(v, self.comparison)),
                page("/history", lambda v, _: people.show_history(v)),
                page(
                    "/graders",
                    lambda v, _: people.show_people(v, self.graders),
                    lambda v, _: people.change_people(v, self.graders),
                ),
                page("/settings", None, _settings),
                page("/keys", lambda v, _: render(v, "keys.html.j2")),
                page("/static/{name:str}", _static),
            ],
            exception_handlers={404: _not_there, 405: _not_there},
        )

    def _handle(
        self, handler: Handler, request: Request, form: Mapping[str, list[str]]
    ) -> Response:
        # One change at a time: this lock wakes the next thread at once, while SQLite's lock is
        # polled with growing pauses. A tryout changes nothing, and may take as long as a cell.
        changes = request.method == "POST" and not request.url.path.endswith("/try")
        turn = self._turn if changes else contextlib.nullcontext()
        with turn, open_store(self.file, create=False) as store:
            visit = Visit(
                store,
                self.room,
                request.scope["grader"],
                self.keys.prefix,
                dict(request.query_params),
                {name: values[-1] for name, values in form.items()},
                form,
                len(self.graders) > 1,
            )
            try:
                reading = self._reading is not None and self._reading.is_alive()
                self.room.update(store, most=0 if reading else AT_ONCE)
                return _response(handler(visit, request.path_params))
            except Refused as error:
                return _response(_error_page(visit, error, 403))
            except GradeError as error:
                return _response(_error_page(visit, error, 400))

    def _try(self, visit: Visit, where: Mapping[str, Any]) -> Page:
        place, number = where["place"], where["number"]
        column = visit.room.column(place)
        visit.require("try", column.id)
        code = visit.form.get("code", "").replace("\r\n", "\n")
        result = result_of(visit.store, self.room.run_id, number)
        assignment = self.room.assignment
        known = {e.id: e.notebook for e in assignment.exercises} if assignment else {}
        run = self.room.run
        seed = run.settings.get("seed") if run else 0
        tried = self.tryout.run(
            result, known.get(column.id, ""), code, seed=seed if isinstance(seed, int) else 0
        )
        return question.show_question(visit, place, number, tried=tried, code=code)


def _error_page(visit: Visit, error: GradeError, status: int) -> Page:
    return render(visit, "error.html.j2", status=status, message=str(error))


def _response(page: Page) -> Response:
    headers = {}
    if page.location:
        headers["location"] = page.location
    if page.file:
        headers["content-disposition"] = f'attachment; filename="{page.file}"'
    body = page.body.encode("utf-8", "backslashreplace")
    return Response(body, page.status, headers, media_type=page.kind)


def _insight_file(visit: Visit, kind: str) -> Page:
    if kind not in ("md", "csv"):
        return Page("There is no such page.", 404)
    return teaching.insight_file(visit, kind)


def _settings(visit: Visit, where: Mapping[str, Any]) -> Page:
    visit.keep_setting(visit.form.get("name", ""), visit.form.get("value") == "on")
    back = visit.form.get("back", "")
    # Only a page of this server: the form may name any address.
    inside = back.startswith(f"{visit.base}/") and "//" not in back and "\\" not in back
    return Page(status=303, location=back) if inside and back.isprintable() else go(visit, "")


def _static(visit: Visit, where: Mapping[str, Any]) -> Page:
    name = where["name"]
    if not _FILE.fullmatch(name):
        return Page("There is no such file.", 404)
    kind = _KINDS[name.rpartition(".")[2]]
    if name == "style.css":
        # The reports' style, then the rules for these pages.
        more = resources.files("grader.review.pages") / "static" / "review.css"
        style = environment().get_template("style.css.j2").render()
        return Page(style + more.read_text(encoding="utf-8"), kind=kind)
    file = resources.files("grader.review.pages") / "static" / name
    if not file.is_file():
        return Page("There is no such file.", 404)
    return Page(file.read_text(encoding="utf-8"), kind=kind)


async def _not_there(request: Request, error: Exception) -> Response:
    return Response("There is no such page.", 404, media_type="text/plain; charset=utf-8")
