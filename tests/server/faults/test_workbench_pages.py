"""The pages' door: who gets them, under which policy, and what is no page."""

import pytest
import server_kit

from mindscope.server.workbench.routes import WorkbenchPlace


@pytest.fixture(scope="module")
def live(make_service):
    with server_kit.serving(make_service(), workbench=WorkbenchPlace(), token="secret") as live:
        yield live


def test_pages_are_open_and_hold_nothing_while_all_else_needs_the_token(live: server_kit.LiveServer):
    page = live.ask("GET", "/workbench/")
    assert page.status == 200
    assert live.service.model.fingerprint.encode() not in page.body
    assert live.ask("GET", "/").status == 307
    for path in ("/v1/mindscope/capabilities", "/openapi.json", "/workbench"):
        assert live.ask("GET", path).status == 401
    assert live.ask("POST", "/v1/workbench/read", {"messages": []}).status == 401
    allowed = live.ask("GET", "/v1/mindscope/capabilities", headers={"Authorization": "Bearer secret"})
    assert allowed.status == 200


def test_the_policy_lets_nothing_inline_and_nothing_foreign(live: server_kit.LiveServer):
    headers = live.ask("GET", "/workbench/chat").headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";") if part.strip()
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/workbench/nothing",
        "/workbench/assets/../../pages.py",
        "/workbench/assets/%2e%2e/index.html",
        "/workbench/../v1/mindscope/capabilities",
        "/workbench/assets/..%2f..%2fpages.py",
        "/workbench/assets/",
        "/workbench/index.html",
        "/workbench/build.json",
    ],
)
def test_what_is_no_page_is_not_found(live: server_kit.LiveServer, path):
    reply = live.ask("GET", path)
    assert reply.status == 404
    assert "error" in reply.json


def test_a_foreign_host_or_origin_gets_no_page(live: server_kit.LiveServer):
    assert live.ask("GET", "/workbench/", headers={"Host": "rebound.example"}).status == 421
    assert live.ask("GET", "/workbench/", headers={"Origin": "http://other.example"}).status == 403


def test_without_a_workbench_there_are_no_pages(make_service):
    with server_kit.serving(make_service()) as bare:
        assert bare.ask("GET", "/workbench/").status == 404
        assert bare.ask("GET", "/").status == 404
