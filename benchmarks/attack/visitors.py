"""Two strangers on one shared server: hostile values on every command of the live line, and one reaching for what is the other's."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import traceback
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from random import Random

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.app import Server
from benchmarks.attack import files
from benchmarks.attack.hostile import VALUES, deep, dumped
from benchmarks.attack.isolated import Outcome
from benchmarks.tab import Tab
from core.data.sources import SOURCES
from core.presets import PRESETS
from pages.shell.identity import COOKIE
from pages.shell.live_line import PATH, REFUSED, UNKNOWN
from pages.training.run_view import RunView
from pages.watching.door import DOOR, HEADER
from pages.watching.view import WatchView

ANSWER = 20.0  # seconds in which the server must answer
PATIENCE = 60.0  # seconds that a page may take on a busy machine
STEPS = 300  # that the owner's run has trained at least
COMMANDS = [*dict.fromkeys([*RunView(None).commands, *WatchView(None).commands])]
WORDS = ("drawn", "back", "page", "hidden", "theme")  # of the line itself
OF_THE_LINE = (
    [1, 0],
    [-1, 0],
    [1, 10**300],
    [1.0, 0],
    [99, 99],
    "start",
    "now",
    "Full speed",
    "1e9",
    "-1",
    "99999999999999999999",
    deep(400),
)
SECRETS = (b"import streamlit", b"[server]", b"root:x", b"SQLite format 3")
PATHS = (
    "/descent/scripts/../access.py", "/descent/scripts/%2e%2e/access.py", "/descent/scripts/..%2faccess.py",
    "/descent/scripts/%5c..%5caccess.py",
    "/descent/scripts//etc/passwd", "/descent/scripts/%00", "/app/static/../../app.py", "/component/../app.py", "/media/../../etc/passwd",
    "/.streamlit/config.toml", "/app.py", "/runs.db", "/data/runs.db", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
    "/descent/thumbnails.css?control=x}*{y",
    "/descent/probe", "/descent/plotly.js?v=" + "x" * 4000, "/?" + "a=b&" * 2000, "/?run=%00&data.source=%ff", "/_stcore/upload_file/x/y",
)  # fmt: skip


async def attacks(seed, each):
    """The Outcomes, whose numbers are names; with so many hostile values for `each` command."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "server.log", shared=1)
        try:
            return await _Strangers(server, seed, each).all()
        finally:
            server.stop()


class _Strangers:
    def __init__(self, server, seed, each):
        self._server, self._host, self._each = server, server.url.removeprefix("http://"), each
        self._random, self._outcomes = Random(f"{seed} visitors"), []
        self._cookies = [f"{COOKIE}={self._random.randbytes(32).hex()[:43]}" for _ in range(2)]

    async def all(self):
        async with self._visit(0, PRESETS["spiral"].link) as owner:
            await owner.press("play")
            await self._until(owner, lambda: self._step(owner) > STEPS and "run=" in owner.query, "the run trains and is kept")
            await owner.press("pause")
            await self._until(owner, lambda: owner.readings["Status"] == "Paused", "the run stands")
            await self._strange(owner)
            async with self._visit(1, PRESETS["spiral"].link) as other:
                await self._line(other)
        await self._doors()
        return self._outcomes

    @asynccontextmanager
    async def _visit(self, person, query, page=""):
        tab = Tab(self._host, query, page=page, cookie=self._cookies[person])
        await tab.connect()
        try:
            await self._until(tab, lambda: tab.pages > 0 and (page or tab.readings), f"the page /{page}?{query[:60]} comes")
            yield tab
        finally:
            await tab.close()

    async def _until(self, tab, condition, what):
        assert await tab.until(condition, PATIENCE), f"In {PATIENCE:g} s it never came to this: {what}. {tab.alerts()} {tab.exceptions}"

    @staticmethod
    def _step(tab):
        return int(tab.readings.get("Step", "0").replace(",", ""))

    async def _try(self, name, attack):
        """Note how an attack went: an assertion that fails, an error, a traceback in the server's log, what it cost the server."""
        logged, began, held = len(self._server.log), self._server.seconds(), self._server.memory()
        try:
            async with asyncio.timeout(PATIENCE):
                await attack()
            failure = None
        except Exception:
            failure = traceback.format_exc()
        news = self._server.log[logged:]
        if "Traceback" in news:
            failure = f"{failure or ''}\n{news}"
        self._outcomes.append(Outcome(name, self._server.seconds() - began, max(0, self._server.memory() - held), failure))

    # What is the other's

    async def _strange(self, owner):
        run = next(part for part in owner.query.split("&") if part.startswith("run="))
        stood = self._step(owner), owner.readings["Train loss"]

        async def key():
            for cookie in ("", self._cookies[1], f"{COOKIE}={secrets.token_urlsafe(32)}", f"{COOKIE}="):
                assert await self._closed({"key": owner.key, "theme": "light", "hidden": False}, cookie) == UNKNOWN, cookie

        async def looks():
            async with self._visit(1, run) as looker:
                for name in COMMANDS:
                    for value in (None, "0", "start", "Full speed", [1, 0]):
                        await looker.send(name, value)
                await asyncio.sleep(1.0)
                assert not looker.exceptions, looker.exceptions
                for name in ("export menu", "predict menu", "export numpy", "export data", "export weights"):
                    widget = looker.widget(name)
                    assert widget is None or name.endswith("menu"), f"a looker is offered {name}"
            await self._answers(owner)
            assert (self._step(owner), owner.readings["Train loss"]) == stood, f"the run moved from {stood} to {owner.readings}"

        async def listed():
            for person in (0, 1):
                async with self._visit(person, "", "runs") as tab:
                    assert not tab.exceptions, tab.exceptions
                    none = tab.found("(No runs yet)") is not None
                    assert none is (person == 1), f"visitor {person} sees {'no runs' if none else 'a run'}"

        async def uploads():
            async with self._visit(0, PRESETS["spiral"].link) as mine:
                await mine.choose("data.source", list(SOURCES).index("file"))
                await self._until(mine, lambda: mine.widget("file"), "there is an uploader")
                await mine.upload("file", "table.csv", files.TABLE.to_csv(index=False).encode())
                await self._until(mine, lambda: "data.path=" in mine.query, "the upload is in the address")
                link = "&".join(part for part in mine.query.split("&") if not part.startswith("run="))
            async with self._visit(1, link) as tab:
                assert any("uploaded in this session" in alert for alert in tab.alerts()), tab.alerts()
                assert not tab.exceptions, tab.exceptions

        async def messages():
            for kind in (
                "clear_cache",
                "stop_script",
                "load_git_info",
                "app_heartbeat",
                "debug_shutdown_runtime",
                "debug_disconnect_websocket",
            ):
                await self._streamlit(BackMsg(**{kind: True}).SerializeToString())
            for raw in (b"", b"\xff" * 100, self._random.randbytes(2000), "text"):
                await self._streamlit(raw)
            await self._answers(owner)
            assert self._step(owner) == stood[0], f"the run moved from {stood} to {owner.readings}"

        for name, attack in {
            "line: another's key": key, "run: another's, by its link": looks, "runs: another's list": listed,
            "upload: another's token": uploads, "Streamlit's own messages": messages,
        }.items():  # fmt: skip
            await self._try(name, attack)

    async def _answers(self, tab):
        """Have a tab press something, and see that the server answers with a picture."""
        pictures = tab.pictures
        await tab.send("pick", [1, self._random.randrange(2)])
        await self._until(tab, lambda: tab.pictures > pictures, "another picture")

    async def _streamlit(self, raw):
        async with connect(
            f"ws://{self._host}/_stcore/stream", subprotocols=["streamlit", "PLACEHOLDER_AUTH_TOKEN"], max_size=None,
            additional_headers={"Cookie": self._cookies[1]},
        ) as socket:  # fmt: skip
            try:
                await socket.send(raw)
                async with asyncio.timeout(0.3):
                    await socket.recv()
            except (ConnectionClosed, TimeoutError):
                pass

    # The live line

    def _line_to(self, cookie):
        headers = {"Cookie": cookie} if cookie else {}
        return connect(
            f"ws://{self._host}{PATH}", origin=f"http://{self._host}", max_size=None, open_timeout=ANSWER, additional_headers=headers
        )

    async def _closed(self, hello, cookie):
        """The code with which the server closes a line that begins so; None when it stays open."""
        async with self._line_to(cookie) as socket:
            await socket.send(json.dumps(hello))
            try:
                async with asyncio.timeout(ANSWER):
                    await socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code
        return None

    async def _line(self, tab):
        values = [*VALUES, *OF_THE_LINE]
        for name in [*COMMANDS, *WORDS, "close", "__class__", "", "\ud800", "x" * 900]:
            for value in self._random.sample(values, self._each):
                text = dumped({"do": name, "value": value})
                await self._try(f"line: {text[:120]}", lambda text=text: self._told(tab, text))
        await tab.until(lambda: False, 1.0)
        await self._try("line: the page after all of it", lambda: self._answers(tab))

    async def _told(self, tab, text):
        """Send this up a line of its own; the server must go on with pictures, or end that line with the code for it."""
        async with self._line_to(self._cookies[1]) as socket:
            await socket.send(json.dumps({"key": tab.key, "theme": "light", "hidden": False}))
            await socket.recv()
            try:
                async with asyncio.timeout(ANSWER):
                    await socket.send(text)
                    await socket.send('{"do":"drawn"}')
                    await socket.send('{"do":"pick","value":[1,0]}')
                    head = {"heard": 0}
                    while not head["heard"]:
                        if message := await socket.recv():
                            head = json.loads(message.partition(b"\n")[0])
                            await socket.send('{"do":"drawn"}')
            except ConnectionClosed as closed:
                assert closed.rcvd is not None and closed.rcvd.code == REFUSED, closed

    # Doors

    async def _doors(self):
        async def reached(path):
            status, body = await asyncio.to_thread(self._asked, "GET", path)
            assert status < 500 and not any(secret in body for secret in SECRETS), (path, status, body[:200])

        async def strangers():
            batch = files.KINDS["probe's batch"].samples()[0]
            for path, headers, wanted in (
                (DOOR, {}, 403), (DOOR, {HEADER: "1"}, 401), (f"{DOOR}?key=x", {HEADER: "1"}, 401),
                
                (f"{DOOR}?key=%ff%00", {HEADER: "1"}, 401),
                (DOOR, {HEADER: "1", "Origin": self._server.url}, 403),
                
                (f"{DOOR}?key=", {HEADER: "1", "X-Forwarded-For": "127.0.0.1"}, 401),
            ):  # fmt: skip
                status, said = self._asked("POST", path, batch, headers)
                assert status == wanted, (path, headers, status, said)

        async def batches():
            keys = []
            for person in (0, 1):
                async with self._visit(person, "", "watch") as tab:
                    keys.append(tab.found(r"\?key=([\w-]{20,})"))
            sound = files.KINDS["probe's batch"].samples()[1]
            assert keys[0] != keys[1]
            assert self._asked("POST", f"{DOOR}?key={keys[0]}", sound, {HEADER: "1"})[0] == 204
            assert self._asked("POST", f"{DOOR}?key={keys[1]}", sound, {HEADER: "1"})[0] == 400, "another's run was written to"
            for number in range(7 * self._each):
                kind, raw = files.made(0, 1000 + number)
                if kind == "probe's batch":
                    status, said = self._asked("POST", f"{DOOR}?key={keys[0]}", raw, {HEADER: "1"})
                    assert status in (204, 400, 413), (number, status, said)
            async with self._visit(0, "", "watch") as tab:
                assert not tab.exceptions, tab.exceptions

        self._asked("GET", "/descent/thumbnails.css")  # drawn once for all
        for path in PATHS:
            await self._try(f"GET {path[:100]}", partial(reached, path))
        for name, attack in {"door of probes: strangers": strangers, "door of probes: batches": batches}.items():
            await self._try(name, attack)

    def _asked(self, method, path, body=None, headers=None):
        """(status, body) of a request, its path as it is written."""
        connection = HTTPConnection(self._host, timeout=ANSWER)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
