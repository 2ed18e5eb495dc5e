"""What stands in Streamlit's page until its scripts have come."""

from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.shell.loading import SHOWN, Loading

PAGE = Path(st.__file__).parent / "static" / "index.html"
HTML = {"accept": "text/html,*/*;q=0.8"}


def answer(response, **headers):
    app = Starlette(routes=[Route("/", lambda request: response)], middleware=[Middleware(Loading)])
    return TestClient(app).get("/", headers=headers)


@pytest.mark.parametrize("kind", ["file", "whole", "in pieces"])
def test_streamlits_page_says_what_it_is(kind):
    html = PAGE.read_text()
    pieces = (html[start : start + 1000] for start in range(0, len(html), 1000))
    made = {"file": FileResponse(PAGE), "whole": HTMLResponse(html), "in pieces": StreamingResponse(pieces, media_type="text/html")}
    page = answer(made[kind], **HTML)
    assert page.text == html.replace("<title>Streamlit</title>", "<title>Descent</title>").replace("<body>", "<body>" + SHOWN.decode())
    assert "Descent</title>" in page.text and "Loading the page…" in page.text
    assert int(page.headers["content-length"]) == len(page.content) and not {"etag", "last-modified"} & set(page.headers)


def test_all_else_is_left_alone():
    for response in (
        JSONResponse("<body>"),
        HTMLResponse("<body>", status_code=404),
        HTMLResponse("<body>", headers={"content-encoding": "identity"}),
    ):
        assert answer(response, **HTML).content == response.body
    assert answer(HTMLResponse("<body>"), accept="*/*").content == b"<body>"
