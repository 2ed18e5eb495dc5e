"""The cookie by which a browser is known again."""

import secrets

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.shell.identity import COOKIE, NAME, Identity

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MALFORMED = ["", "x", "a" * 42, "a" * 44, "a" * 42 + "%", '"' + "a" * 43, "<script>" + "a" * 35, "a" * 21 + " " + "a" * 21]


def given(method="GET", scheme="http", **headers):
    """The Set-Cookie headers of an answer."""

    def answer(request):
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])], middleware=[Middleware(Identity)])
    return TestClient(app, base_url=f"{scheme}://testserver").request(method, "/", headers=headers).headers.get_list("set-cookie")


@pytest.mark.parametrize("cookie", [None, "other=1", *(f"{COOKIE}={name}" for name in MALFORMED)])
def test_a_browser_without_a_name_gets_one(cookie):
    (text,) = given(**PAGE, **({"cookie": cookie} if cookie else {}))
    name, *settings = text.split("; ")
    assert NAME.fullmatch(name.removeprefix(f"{COOKIE}=")) and {"HttpOnly", "SameSite=Lax", "Path=/"} < set(settings)
    assert "Secure" not in settings and "Secure" in given(scheme="https", **PAGE)[0].split("; ")
    assert given(**PAGE) != [text]


def test_a_browser_with_a_name_keeps_it():
    name = secrets.token_urlsafe(32)
    for cookies in (f"{COOKIE}={name}", f"other=1; {COOKIE}={name}; _streamlit_xsrf=2|a|b|1"):
        assert given(**PAGE, cookie=cookies) == []


def test_only_pages_are_named():
    assert given(accept="*/*") == given(accept="text/css,*/*;q=0.1") == given(accept="application/json") == given("POST", **PAGE) == []
