"""What may not pass is refused at the door, in one shape, and nothing of it stays."""

import json
import re
import socket

import pytest
import server_kit

TOKEN = "a-long-random-token-0123456789"
ROUTES = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/organism"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("GET", "/v1/mindscope/capabilities"),
    ("PUT", "/v1/mindscope/vectors/x"),
    ("PUT", "/v1/mindscope/vectors/x/file"),
    ("DELETE", "/v1/mindscope/vectors/x"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
)


@pytest.fixture(scope="module")
def guarded(make_service):
    with server_kit.serving(make_service(), token=TOKEN, hosts=["models.example"]) as live:
        yield live


def refused(reply: server_kit.Reply, status: int) -> str:
    assert reply.status == status, reply.body
    assert reply.json["error"]["message"]
    return reply.json["error"]["message"]


WRONG = (
    None,
    "Bearer wrong",
    f"Bearer {TOKEN}x",
    TOKEN,
    f"Basic {TOKEN}",
    "Bearer tökén",
    f"Bearer {TOKEN[:-1]}",
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("authorization", WRONG)
def test_no_route_but_health_answers_without_the_token(guarded, method, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode().decode("latin-1")}
    body = None if method in ("GET", "DELETE") else b"{}"
    refused(guarded.ask(method, path, body, headers), 401)


def test_nothing_that_the_server_describes_answers_without_the_token(guarded):
    described = guarded.ask("GET", "/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json[
        "paths"
    ]
    routes = [(method.upper(), path) for path, methods in described.items() for method in methods]
    assert {path for _, path in routes} >= {"/v1/chat/completions", "/v1/steer/completion-chat", "/metrics"}
    for method, path in [*routes, ("GET", "/metrics")]:
        if path == "/health":
            continue
        for authorization in WRONG:
            headers = (
                {} if authorization is None else {"Authorization": authorization.encode().decode("latin-1")}
            )
            body = None if method in ("GET", "DELETE") else b"{}"
            filled = re.sub(r"\{\w+\}", "x", path)
            assert guarded.ask(method, filled, body, headers).status == 401, (method, path, authorization)


def test_health_is_open_and_the_token_lets_in(guarded):
    assert guarded.ask("GET", "/health").status == 200
    assert guarded.ask("GET", "/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "", "[::2]"])
@pytest.mark.parametrize("path", ["/health", "/v1/models"])
def test_a_foreign_host_is_told_nothing(guarded, host, path):
    refused(guarded.ask("GET", path, headers={"Host": host}), 421)


@pytest.mark.parametrize(
    "host", ["localhost:80", "127.0.0.1", "[::1]:9", "models.example", "MODELS.example:443"]
)
def test_own_names_are_answered(guarded, host):
    assert guarded.ask("GET", "/health", headers={"Host": host}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1"])
def test_a_foreign_page_may_not_ask(server, origin):
    refused(server.ask("GET", "/v1/models", headers={"Origin": origin}), 403)


def test_the_servers_own_page_may_ask(server):
    origin = {"Origin": f"http://127.0.0.1:{server.port}", "Host": f"127.0.0.1:{server.port}"}
    assert server.ask("GET", "/v1/models", headers=origin).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/%2fetc%2fpasswd",
        "/v1/models//etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/v1/mindscope/vectors/..%2f..%2fetc",
        "/v1/mindscope/vectors/%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_path_leads_to_the_disk(server, path, method):
    reply = server.ask(method, path)
    assert reply.status in (400, 404, 405)
    assert b"root:" not in reply.body


def test_a_path_in_a_request_is_a_name_that_means_nothing(server, tmp_path):
    file = tmp_path / "vectors.safetensors"
    file.write_bytes(b"x")
    message = refused(server.chat(mindscope={"steer": [{"vector": str(file)}]}), 400)
    assert "there is no vector" in message
    message = refused(server.chat(mindscope={"steer": f"1 {file}"}), 400)
    assert "there is no vector" in message


def test_a_long_body_is_refused_before_it_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {100 * 2**20}\r\n\r\n"
        )
        client.sendall(head.encode())
        assert b" 413 " in client.recv(4096)


def test_a_long_body_without_a_length_is_cut(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        reply = b""
        try:
            for _ in range(40):
                client.sendall(chunk)
        except OSError:
            pass  # the server has hung up
        client.settimeout(10)
        try:
            reply = client.recv(4096)
        except OSError:
            reply = b" 413 "  # its answer was lost with the connection
        assert b" 413 " in reply


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"model": NaN}',
        b'{"model": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xff\xfe",
        b'{"n": ' + b"9" * 5000 + b"}",
        b"null",
        b'"text"',
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_body_that_is_no_plain_json_is_refused(server, body, path):
    refused(server.ask("POST", path, body), 400)


DEEP = {"name": "f", "arguments": '{"a":' * 100_000}
CALLED = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": DEEP}]}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"n": 10_000}),
        ("/v1/chat/completions", {"n": 0}),
        ("/v1/chat/completions", {"temperature": 1e308}),
        ("/v1/chat/completions", {"top_p": -1}),
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "tool", "content": "x"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 4000}]}),
        ("/v1/chat/completions", {"messages": [CALLED, {"role": "user", "content": "a"}]}),
        ("/v1/chat/completions", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ("/v1/chat/completions", {"tools": [{"type": "function", "function": {"name": "f"}}] * 1000}),
        ("/v1/chat/completions", {"response_format": {"type": "xml"}}),
        ("/v1/chat/completions", {"max_tokens": 2**40}),
        ("/v1/chat/completions", {"chat_template_kwargs": {"messages": []}}),
        ("/v1/chat/completions", {"chat_template_kwargs": {"no_such_option": 1}}),
        ("/v1/chat/completions", {"chat_template_kwargs": {"(": 1}}),
        ("/v1/chat/completions", {"chat_template_kwargs": {"(.*.*.*)*x": 1}}),
        ("/v1/chat/completions", {"mindscope": {"steer": "1 evil" + " + 1 evil@all" * 40}}),
        ("/v1/chat/completions", {"mindscope": {"steer": [{"vector": "evil", "layers": [99]}]}}),
        ("/v1/chat/completions", {"mindscope": {"steer": [{"vector": "evil", "coefficient": 1e400}]}}),
        ("/v1/chat/completions", {"mindscope": {"monitor": ["nobody"]}}),
        ("/v1/chat/completions", {"mindscope": {"monitor": [""]}}),
        ("/v1/completions", {"prompt": [10_000_000]}),
        ("/v1/completions", {"prompt": [-1]}),
        ("/v1/completions", {"prompt": []}),
        ("/v1/completions", {"prompt": [[]]}),
        ("/v1/completions", {"prompt": ""}),
    ],
)
def test_what_asks_for_too_much_or_nothing_is_refused(server, path, fields):
    plain = {"prompt": "a"} if path == "/v1/completions" else {"messages": [{"role": "user", "content": "a"}]}
    body = json.dumps({"model": "organism", **plain, **fields}).replace("Infinity", "1e400").encode()
    refused(server.ask("POST", path, body), 400)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"resid_post.2": []},
        {"resid_post.2": [1.0, 2.0]},
        {"resid_post.2": [0.0] * 256},
        {"resid_post.99": [1.0] * 256},
        {"resid_post.2": [1e300] * 256},
        {"../../etc/passwd": [1.0] * 256},
        {"model.layers.0": [1.0] * 256},
    ],
)
def test_a_vector_that_does_not_fit_is_refused(server, given):
    refused(server.ask("PUT", "/v1/mindscope/vectors/bad", {"vectors": given}), 400)
    names = [one["name"] for one in server.ask("GET", "/v1/mindscope/capabilities").json["vectors"]]
    assert "bad" not in names


@pytest.mark.parametrize("name", ["a" * 65, ".hidden", "a b", "ä", "evil"])
def test_a_name_that_is_none_or_taken_is_refused(server, name):
    from urllib.parse import quote

    body = {"vectors": {"resid_post.2": [1.0] * 256}}
    refused(server.ask("PUT", f"/v1/mindscope/vectors/{quote(name)}", body), 400)


def test_a_file_that_is_none_is_refused(server, vectors, tmp_path):
    binary = {"Content-Type": "application/octet-stream"}
    for content in (b"", b"\x80\x04K\x01.", b"x" * 100, (100).to_bytes(8, "little") + b"{}"):
        message = refused(server.ask("PUT", "/v1/mindscope/vectors/f/file", content, binary), 400)
        assert "/tmp" not in message
    vectors["evil"].save(tmp_path / "v.safetensors")
    content = (tmp_path / "v.safetensors").read_bytes()
    refused(server.ask("PUT", "/v1/mindscope/vectors/f/file", content[:-10], binary), 400)
    assert server.ask("PUT", "/v1/mindscope/vectors/f/file", content, binary).status == 200
    assert server.ask("DELETE", "/v1/mindscope/vectors/f").status == 200


def test_no_more_vectors_than_fit(make_service):
    with server_kit.serving(make_service(max_vectors=2)) as live:
        body = {"vectors": {"resid_post.2": [1.0] * 256}}
        assert [live.ask("PUT", f"/v1/mindscope/vectors/v{i}", body).status for i in range(3)] == [
            200,
            200,
            400,
        ]


def test_no_larger_vectors_than_fit(make_service):
    service = make_service()
    service.registry.most_bytes = 3000
    with server_kit.serving(service) as live:
        two = {"vectors": {"resid_post.1": [1.0] * 256, "resid_post.2": [1.0] * 256}}
        assert live.ask("PUT", "/v1/mindscope/vectors/a", two).status == 200
        refused(live.ask("PUT", "/v1/mindscope/vectors/b", two), 400)
        assert live.ask("DELETE", "/v1/mindscope/vectors/a").status == 200
        assert live.ask("PUT", "/v1/mindscope/vectors/b", two).status == 200
