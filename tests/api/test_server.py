# SPDX-License-Identifier: Apache-2.0
"""The API's connection loop: real sockets, small limits."""

import asyncio
import http.client
import json
import logging
import socket

import msgspec
import pytest

from holdfast.api.http import Empty, Hijack, Json, Raw, Stream
from holdfast.api.router import Route
from holdfast.errors import Conflict, Internal, NotFound, NotModified


class Thing(msgspec.Struct, rename="pascal"):
    """A body."""

    image: str = ""
    count: int = 0


async def ping(request):
    return Raw(b"OK", "text/plain; charset=utf-8")


async def echo(request):
    thing = await request.json(Thing)
    return Json({"Image": thing.image, "Version": list(request.version), "Name": request.query.text("name")}, 201)


async def ignore(request):
    return Empty(204)


def failing(error):
    async def handler(request):
        raise error

    return handler


ROUTES = [
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("POST", "/containers/create", echo),
    Route("POST", "/containers/{id}/kill", ignore),
]


async def test_an_answer_has_dockerds_headers(start):
    running = await start(ROUTES)

    answer = await running.ask("GET", "/_ping")

    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["api-version"] == "1.51"
    assert answer.headers["ostype"] == "linux"
    assert answer.headers["docker-experimental"] == "false"
    assert answer.headers["server"] == "Holdfast/test (linux)"
    assert answer.headers["content-length"] == "2"
    assert answer.headers["date"].endswith(" GMT")


async def test_head_has_the_headers_and_no_body(start):
    answer = await (await start(ROUTES)).ask("HEAD", "/_ping")

    assert (answer.status, answer.body) == (200, b"")


async def test_an_old_client_that_keeps_its_connection_is_told_so(start):
    running = await start(ROUTES)

    kept = await running.send(b"GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    closed = await running.send(b"GET /_ping HTTP/1.0\r\n\r\n")

    assert b"\r\nConnection: keep-alive\r\n" in kept
    assert b"\r\nConnection: close\r\n" in closed


async def test_a_path_that_is_not_clean_sends_the_client_elsewhere(start):
    answer = await (await start(ROUTES)).ask("POST", "/v1.51//containers/./create?name=a%20b", b"{}")

    assert (answer.status, answer.body) == (301, b"")
    assert answer.headers["location"] == "/v1.51/containers/create?name=a%20b"


async def test_one_connection_takes_many_requests(start):
    running = await start(ROUTES)

    def talk():
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        found = []
        for _ in range(3):
            connection.request(
                "POST", "/v1.44/containers/create?name=n%20x", b'{"image":"a"}', {"Content-Type": "application/json"}
            )
            found.append(json.loads(connection.getresponse().read()))
            connection.request("GET", "/_ping")
            assert connection.getresponse().read() == b"OK"
        return found

    assert await asyncio.to_thread(talk) == [{"Image": "a", "Version": [1, 44], "Name": "n x"}] * 3


async def test_pipelined_requests_are_answered_in_order(start):
    one = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"

    received = await (await start(ROUTES)).send(one + one)

    assert received.count(b"HTTP/1.1 200 OK") == 2


async def test_options_is_always_fine(start):
    answer = await (await start(ROUTES)).ask("OPTIONS", "/containers/json")

    assert (answer.status, answer.headers["content-length"]) == (200, "0")


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        (b'{"x', "Content-Type: application/json\r\n", "invalid JSON: unexpected EOF"),
        (b"{} {}", "Content-Type: application/json\r\n", "unexpected content after JSON"),
        (
            b'{"Image":3}',
            "Content-Type: application/json\r\n",
            "invalid JSON: json: cannot unmarshal number into Go struct field .Image of type string",
        ),
        (
            b"{}",
            "Content-Type: text/plain\r\n",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        (b" \n", "Content-Type: application/json\r\n", "invalid JSON: got EOF while reading request body"),
        (b"{}", "", "malformed Content-Type header (): mime: no media type"),
        (b"[" * 5000, "Content-Type: application/json\r\n", "invalid JSON: exceeded max depth"),
    ],
)
async def test_bodies_of_the_wrong_shape_are_400_in_dockers_words(start, body, headers, text):
    answer = await (await start(ROUTES)).ask("POST", "/containers/create", body, headers)

    assert answer.status == 400
    assert json.loads(answer.body) == {"message": text}
    assert answer.body.endswith(b"\n")


async def test_a_json_body_above_the_limit_is_413(start):
    running = await start(ROUTES)

    answer = await running.ask("POST", "/containers/create", b" " * (5 << 20), "Content-Type: application/json\r\n")

    assert answer.status == 413


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (NotFound("No such container: x"), 404, {"message": "No such container: x"}),
        (Conflict("busy"), 409, {"message": "busy"}),
        (Internal("driver failed"), 500, {"message": "driver failed"}),
        (ExceptionGroup("many", [ValueError("x"), Conflict("busy")]), 409, {"message": "busy"}),
    ],
)
async def test_errors_become_dockers_answers(start, error, status, body):
    answer = await (await start([Route("GET", "/info", failing(error))])).ask("GET", "/info")

    assert (answer.status, json.loads(answer.body)) == (status, body)


async def test_not_modified_has_no_body(start):
    answer = await (await start([Route("GET", "/info", failing(NotModified("is running")))])).ask("GET", "/info")

    assert (answer.status, answer.body) == (304, b"")
    assert "content-length" not in answer.headers


async def test_a_bug_is_a_500_without_its_traceback_and_a_log_with_it(start, caplog):
    running = await start([Route("GET", "/info", failing(RuntimeError("the secret")))])

    with caplog.at_level(logging.ERROR, "holdfast.api"):
        answer = await running.ask("GET", "/info")

    text = json.loads(answer.body)["message"]
    assert answer.status == 500
    assert "secret" not in text
    assert "Traceback" not in text
    job = text.partition("job ")[2].partition(",")[0]
    assert f"job {job}" in caplog.text
    assert "the secret" in caplog.text


async def test_unknown_routes_and_versions_are_refused_as_docker_does(start):
    running = await start(ROUTES)

    assert json.loads((await running.ask("GET", "/nosuch")).body) == {"message": "page not found"}
    assert json.loads((await running.ask("GET", "/v1.99/_ping")).body) == {
        "message": "client version 1.99 is too new. Maximum supported API version is 1.51"
    }
    assert (await running.ask("GET", "/swarm")).status == 501


async def test_a_client_from_before_json_errors_gets_plain_text(start):
    running = await start(ROUTES)

    answer = await running.ask("GET", "/v1.22/_ping")

    assert answer.status == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.startswith(b"client version 1.22 is too old. Minimum supported API version is 1.24,")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /_ping",
        b"rubbish\r\n\r\n",
    ],
)
async def test_broken_http_is_answered_once_and_ends_the_connection(start, data):
    received = await (await start(ROUTES)).send(data, close_sending=False)

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in received


async def test_a_head_that_is_too_large_is_431(start):
    data = b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 70000 + b"\r\n\r\n"

    assert (await (await start(ROUTES)).send(data, close_sending=False)).startswith(b"HTTP/1.1 431 ")


async def test_a_slow_head_is_408_and_an_idle_connection_is_closed(start, quick_limits):
    running = await start(ROUTES, quick_limits)

    assert (await running.send(b"GET /_ping HT", close_sending=False)).startswith(b"HTTP/1.1 408 ")
    assert await running.send(b"", close_sending=False) == b""
    assert await running.send(b"", close_sending=False, tcp=True) == b""


async def test_a_drip_of_bytes_does_not_extend_the_time(start, quick_limits):
    running = await start(ROUTES, quick_limits)

    def drip():
        with running.connect() as sock:
            for byte in b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 100:
                try:
                    sock.send(bytes([byte]))
                except BrokenPipeError:
                    return b""
                sock.settimeout(0.02)
                try:
                    return sock.recv(4096)
                except TimeoutError:
                    continue
        raise AssertionError("never stopped")

    answer = await asyncio.to_thread(drip)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_unread_short_body_is_skipped_and_a_long_one_ends_the_connection(start, quick_limits):
    running = await start(ROUTES, quick_limits)
    next_one = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
    short = b"POST /containers/x/kill HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello"
    long = b"POST /containers/x/kill HTTP/1.1\r\nHost: d\r\nContent-Length: 999999999\r\n\r\nhello"

    assert b"200 OK" in await running.send(short + next_one)
    received = await running.send(long + next_one, close_sending=False)
    assert received.startswith(b"HTTP/1.1 204 ")
    assert b"200 OK" not in received


async def test_expect_100_is_answered_before_the_body_is_read(start):
    running = await start(ROUTES)

    def talk():
        with running.connect() as sock:
            sock.sendall(
                b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
                b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n"
            )
            first = sock.recv(4096)
            sock.sendall(b'{"image":"a"}')
            return first, sock.recv(4096)

    first, second = await asyncio.to_thread(talk)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert second.startswith(b"HTTP/1.1 201 Created")


async def test_a_body_that_ends_early_is_400(start):
    data = (
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )

    assert (await (await start(ROUTES)).send(data)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("headers", "tcp", "status"),
    [
        ("", True, 403),
        ("Origin: http://evil\r\n", True, 403),
        ("Origin: http://evil\r\n", False, 200),
    ],
)
async def test_web_pages_are_refused_on_tcp(start, headers, tcp, status):
    """`ask` names the host `d`, which is no name of this machine."""
    assert (await (await start(ROUTES)).ask("GET", "/_ping", headers=headers, tcp=tcp)).status == status


async def test_a_loopback_address_as_host_is_fine_on_tcp(start):
    running = await start(ROUTES)

    received = await running.send(b"GET /_ping HTTP/1.1\r\nHost: 127.0.0.1:2375\r\n\r\n", tcp=True)

    assert received.startswith(b"HTTP/1.1 200 ")


async def test_a_stream_sends_its_head_before_its_first_chunk(start):
    go = asyncio.Event()

    async def wait(request):
        async def chunks():
            await go.wait()
            yield b'{"StatusCode":0}\n'

        return Stream(chunks())

    running = await start([Route("POST", "/containers/{id}/wait", wait)])
    reader, writer = await asyncio.open_unix_connection(running.path)
    writer.write(b"POST /containers/x/wait HTTP/1.1\r\nHost: d\r\n\r\n")

    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b"200 OK" in head
    assert b"Transfer-Encoding: chunked" in head
    go.set()
    assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5) == b'11\r\n{"StatusCode":0}\n\r\n0\r\n\r\n'
    writer.write(b"POST /containers/x/wait HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
    assert b'{"StatusCode":0}' in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_stream_for_http_1_0_ends_with_the_connection(start):
    async def two(request):
        async def chunks():
            yield b"a"
            yield b"b"

        return Stream(chunks())

    received = await (await start([Route("GET", "/events", two)])).send(
        b"GET /events HTTP/1.0\r\n\r\n", close_sending=False
    )

    assert received.endswith(b"\r\n\r\nab")


async def test_the_producer_is_cancelled_when_the_client_leaves(start):
    ended = asyncio.get_running_loop().create_future()

    async def forever(request):
        async def chunks():
            try:
                yield b"x"
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.set_result("cancelled")
                raise

        return Stream(chunks())

    running = await start([Route("GET", "/events", forever)])
    _, writer = await asyncio.open_unix_connection(running.path)
    writer.write(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
    await asyncio.sleep(0.05)
    assert not ended.done()

    writer.close()

    assert await asyncio.wait_for(ended, 5) == "cancelled"


async def test_a_stalled_reader_stops_the_producer_and_not_the_memory(start):
    made = 0

    async def flood(request):
        async def chunks():
            nonlocal made
            while True:
                made += 1
                yield b"x" * 65536

        return Stream(chunks())

    running = await start([Route("GET", "/events", flood)])
    sock = running.connect()
    sock.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
    await asyncio.sleep(0.2)
    before = made
    await asyncio.sleep(0.2)

    assert made == before < 100
    sock.close()


async def test_a_stream_that_fails_cuts_the_connection_without_its_end(start):
    async def broken(request):
        async def chunks():
            yield b"x"
            raise RuntimeError("disk on fire")

        return Stream(chunks())

    received = await (await start([Route("GET", "/events", broken)])).send(
        b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n", close_sending=False
    )

    assert received.endswith(b"1\r\nx\r\n")


async def test_a_stream_may_read_the_request_body_meanwhile(start):
    async def load(request):
        async def chunks():
            async for part in request.body():
                yield b"%d\n" % len(part)

        return Stream(chunks())

    running = await start([Route("POST", "/images/load", load)])

    answer = await running.ask("POST", "/images/load", b"x" * 300_000)

    sizes = [int(line) for line in answer.body.split(b"\r\n")[1::2] if line.strip().isdigit()]
    assert sum(sizes) == 300_000


async def attach(request):
    async def serve(connection):
        await connection.write(b"hello ")
        while data := await connection.read():
            await connection.write(data.upper())
        await connection.write(b" bye")

    return Hijack(serve, request.stream_content_type(tty=False))


ATTACH = [Route("POST", "/containers/{id}/attach", attach)]


async def test_a_hijack_answers_101_and_keeps_the_bytes_of_the_same_packet(start):
    received = await (await start(ATTACH)).send(
        b"POST /v1.51/containers/x/attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly"
    )

    assert received.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert (
        b"Content-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        in received
    )
    assert received.endswith(b"\r\n\r\nhello EARLY bye")


async def test_an_old_hijack_answers_200_raw_stream(start):
    received = await (await start(ATTACH)).send(b"POST /v1.41/containers/x/attach HTTP/1.1\r\nHost: d\r\n\r\nab")

    assert received == b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello AB bye"


async def test_a_body_that_the_hijacking_route_ignored_is_not_input(start):
    received = await (await start(ATTACH)).send(
        b"POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\nbodyin"
    )

    assert received.endswith(b"hello IN bye")


async def test_a_given_away_connection_lives_on_without_the_server(start):
    given = asyncio.get_running_loop().create_future()

    async def hand_over(request):
        async def serve(connection):
            given.set_result(connection.give_away())

        return Hijack(serve)

    running = await start([Route("POST", "/containers/{id}/attach", hand_over)])
    client = running.connect()
    client.sendall(b"POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\n\r\npending")
    sock, pending = await asyncio.wait_for(given, 5)
    await asyncio.sleep(0.05)

    assert pending == b"pending"
    assert b"101 UPGRADED" in client.recv(4096)
    sock.setblocking(True)
    sock.sendall(b"from the shim")
    assert client.recv(100) == b"from the shim"
    client.shutdown(socket.SHUT_WR)
    assert sock.recv(1) == b""
    sock.close()
    assert client.recv(1) == b""
    client.close()
