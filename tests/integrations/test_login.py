"""Streamlit's login with a small OpenID Connect provider of the test's own: an account's runs follow it to another browser."""

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from benchmarks.app import free_port
from tests.browser.test_identity import lists_its_run
from tests.browser.test_kept import paused
from tests.browser.test_playground import play, ready

jwt = pytest.importorskip("joserfc.jwt")
jwk = pytest.importorskip("joserfc.jwk")
CLIENT, KEEPS = "descent", "a secret of the test's"


class Provider(ThreadingHTTPServer):
    """An OpenID Connect provider on this machine (authorization code flow, RS256). It believes whoever comes to be `person`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.person, self.codes = None, {}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        address, provider = urlsplit(self.path), self.server
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        match address.path:
            case "/.well-known/openid-configuration":
                ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                self._tell(
                    {"issuer": provider.url, "response_types_supported": ["code"], "subject_types_supported": ["public"]}
                    | {"id_token_signing_alg_values_supported": ["RS256"]}
                    | {name: f"{provider.url}/{path}" for name, path in ends.items()}
                )
            case "/keys":
                self._tell({"keys": [provider.key.as_dict(private=False)]})
            case "/authorize":
                assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and "openid" in asked["scope"].split()
                code = secrets.token_urlsafe(16)
                provider.codes[code] = provider.person, asked.get("nonce")
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
                self.end_headers()

    def do_POST(self):
        asked = {name: values[0] for name, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
        told = self.headers.get("Authorization", "").removeprefix("Basic ")
        client = base64.b64decode(told).decode() if told else f"{asked.get('client_id')}:{asked.get('client_secret')}"
        assert client.replace("+", " ").replace("%27", "'") == f"{CLIENT}:{KEEPS}", client
        person, nonce = self.server.codes.pop(asked["code"])
        now = int(time.time())
        claims = {
            "iss": self.server.url,
            "aud": CLIENT,
            "sub": person,
            "name": person.title(),
            "iat": now,
            "exp": now + 600,
            "nonce": nonce,
        }
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.server.key)
        self._tell({"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _tell(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def provider():
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_runs_of_an_account_follow_it_to_another_browser(provider, start_server, open_tab, tmp_path):
    port, kept = free_port(), tmp_path / "secrets.toml"
    kept.write_text(f"""
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "{CLIENT}"
client_secret = "{KEEPS}"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"
""")
    server = start_server(["--secrets.files", str(kept)], port=port, shared=1)

    def logged_in(person):
        provider.person = person
        tab = ready(open_tab(at=server))
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_text(f"Logged in as {person.title()}.")).to_be_visible()
        return tab

    tab = ready(logged_in("ada"))
    play(tab)
    paused(tab)
    again = logged_in("ada")
    again.goto(server.url + "/runs")
    lists_its_run(again)
    other = logged_in("grace")
    other.goto(server.url + "/runs")
    expect(other.get_by_text("No runs yet.")).to_be_visible()
    again.get_by_role("button", name="Log out").click()
    expect(again.get_by_role("button", name="Log in")).to_be_visible()
    again.goto(server.url + "/runs")
    expect(again.get_by_text("No runs yet.")).to_be_visible()
