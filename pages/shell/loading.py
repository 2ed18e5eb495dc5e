"""The page while its scripts are on their way: it says what it is, and that it is being loaded. Streamlit's own is blank until then."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shell.identity import is_page

TITLE = b"<title>Streamlit</title>", b"<title>Descent</title>"
BODY = b"<body>"
SHOWN = b"""
    <style>
      .descent-loading {
        position: fixed; inset: 0; z-index: 1; display: grid; place-content: center; gap: 0.4rem; text-align: center; pointer-events: none;
        font: 1rem system-ui, sans-serif; color-scheme: light dark; color: light-dark(#1f2933, #e6eaee);
        background: light-dark(#fff, #12161b);
      }
      .descent-loading b { font-size: 1.4rem; }
      body:has(.stMain .stElementContainer) .descent-loading { display: none; }
    </style>
    <noscript><style>.descent-loading { display: none !important; }</style></noscript>
    <div class="descent-loading" role="status"><b>Descent</b><span>Loading the page\xe2\x80\xa6</span></div>"""


class Loading:
    """Middleware that puts this into Streamlit's page. It goes as soon as there is anything to be seen."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send):
        await self._app(scope, receive, _Page(send) if is_page(scope) else send)


class _Page:
    """Sends an answer on; what is HTML once it is whole, with what is shown meanwhile."""

    def __init__(self, send):
        self._send = send
        self._start, self._body = None, b""

    async def __call__(self, message: Message):
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            if message["status"] == 200 and headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers:
                self._start = message | {"headers": headers.raw}
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self._body.replace(*TITLE).replace(BODY, BODY + SHOWN)
        headers = MutableHeaders(raw=self._start["headers"])
        headers["content-length"] = str(len(body))
        for name in ("etag", "last-modified"):  # they are those of the page without
            del headers[name]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})
