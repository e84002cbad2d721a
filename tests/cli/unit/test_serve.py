"""`mindscope serve` refuses before anything is loaded what could not be served as it was meant."""

import http.server
import socket
import threading

import pytest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "--token-env"),
        (["--host", "192.0.2.1"], "--token-env"),
        (["--policy", "stop"], "needs --thresholds"),
        (["--thresholds", "t.safetensors"], "need the --vectors"),
        (["--log-text"], "about a --log"),
        (["--retention-days", "3"], "about a --log"),
        (["--upstream", "http://127.0.0.1:1/v1"], "needs --vectors"),
        (["--upstream-key-env", "KEY"], "about an --upstream"),
        (["--token-env", "NO_SUCH_TOKEN"], "holds no token"),
        (["--host", "::2", "--token-env", "TOKEN"], "cannot listen"),
    ],
)
def test_what_does_not_go_together_is_refused(refused, monkeypatch, options, says):
    monkeypatch.setenv("TOKEN", "a-long-token")
    assert says in refused("serve", "no/such/model", "--port", "0", *options)


def test_a_port_that_is_taken_is_said(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "choose another --port" in refused("serve", "no/such/model", "--port", port)


@pytest.mark.parametrize("token", ["", "tökén", "two words"])
def test_a_token_that_no_header_carries_is_refused(refused, monkeypatch, token):
    monkeypatch.setenv("TOKEN", token)
    assert "holds no token" in refused("serve", "no/such/model", "--token-env", "TOKEN")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dictionary", "nothing"], "NAME=FILE"),
        (["--vectors", "no/such/file.safetensors"], "no/such/file.safetensors"),
        (["--webhook", "ftp://x"], "http"),
        (["--log", "://"], "log"),
        (["--log", "nosuchdriver://x/y"], "nosuchdriver"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_line(refused, options, says):
    assert says in refused("serve", "organism", "--port", "0", *options)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["not-a-url", "--model", "organism"], "is no address"),
        (["http://127.0.0.1:99999/v1", "--model", "organism"], "is no address"),
        (["http://127.0.0.1:9/v1", "--model", "organism"], "does not answer"),
        (["http://127.0.0.1:9/v1", "--model", "organism", "--layer", "99"], "no layer 99"),
        (["http://127.0.0.1:9/v1", "--model", "organism", "--token-env", "NONE_SUCH"], "holds no token"),
    ],
)
def test_conform_says_what_it_cannot_examine(refused, arguments, says):
    assert says in refused("conform", *arguments)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (501, b"<html>\n<h1>not\n here</h1>", "answered 501: <html> <h1>not here</h1>"),
        (302, b"", "answered 302: it points to http://elsewhere"),
        (200, b"<html>\n", "another form than a chat completion's"),
    ],
)
def test_conform_says_in_a_line_what_another_server_answers(refused, status, body, says):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(status)
            self.send_header("Location", "http://elsewhere")
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/v1"
            assert says in refused("conform", url, "--model", "organism")
        finally:
            server.shutdown()


def test_there_is_no_log_to_export(refused, tmp_path):
    assert "is no log" in refused("log", "export", tmp_path / "none.sqlite", tmp_path / "out")
