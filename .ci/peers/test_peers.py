"""Peers of the original and ours against each other, both ways, unchanged."""

import json
import urllib.error
import urllib.request

import pytest
from conftest import PATIENCE, ours, python, run

MESSAGES = [f"{n} message" for n in ["First", "Second", "Third", "Fourth", "Fifth"]]
SENT = [f"Hello Server Sending you the {message}" for message in MESSAGES]
ANSWERED = [f"Hello from the server received your {message}" for message in MESSAGES]
PATIENT = "--deadline=30s"
TEXTS = ["Hello Server you there?", "", 'नमस्ते "you" 👋\nthere']
DIWALI = (
    b'{"greetings":"Here is your greetings --> Today is a special day! (Diwali, 2023)",'
    b'"messageReceived":true}'
)


def unary_answer(message):
    return f'Hello I am up and running received "{message}" message from you'


@pytest.mark.parametrize("message", TEXTS)
def test_python_unary_client_asks_our_server(start, stubs, message):
    _, address = start(ours("unary-server", "--grpc-port", "0"), 2)
    client = run(python(stubs, "unary_client", address, message))
    assert (client.returncode, client.stderr) == (0, "")
    assert client.stdout == f"{unary_answer(message)}\nTrue\n"


@pytest.mark.parametrize("message", TEXTS)
def test_our_unary_client_asks_a_python_server(start, stubs, message):
    [address] = start(python(stubs, "unary_server"), 1)
    client = run(ours("unary-client", PATIENT, "--address", f"http://{address}", message))
    assert (client.returncode, client.stderr) == (0, "")
    answer = f"answer: message: {unary_answer(message)}\nanswer: received: true\n"
    assert client.stdout == f"request: message: {message}\n{answer}"


@pytest.mark.parametrize("order", ["each", "pairs", "after-half-close"])
def test_python_bidirectional_client_talks_to_our_server(start, stubs, order):
    server = ours("bidirectional-server", "--grpc-port", "0", "--order", order)
    _, address = start(server, 2)
    client = run(python(stubs, "bidirectional_client", address))
    assert (client.returncode, client.stderr) == (0, "")
    lines = client.stdout.splitlines()
    # Python's client runs ahead of its reader, so only the order within each stream is certain.
    assert [line for line in lines if line in SENT] == SENT
    assert [line for line in lines if line in ANSWERED] == ANSWERED
    assert len(lines) == 10


def test_our_bidirectional_client_talks_to_a_python_server(start, stubs):
    [address] = start(python(stubs, "bidirectional_server"), 1)
    client = run(ours("bidirectional-client", PATIENT, "--address", address, "--patience=30s"))
    assert client.returncode == 0, client.stderr
    pairs = [line for pair in zip(SENT, ANSWERED) for line in pair]
    assert client.stdout.splitlines() == pairs


def test_our_bidirectional_client_talks_to_a_python_server_that_reads_first(start, stubs):
    [address] = start(python(stubs, "bidirectional_server", "after"), 1)
    client = run(ours("bidirectional-client", PATIENT, "--address", address, "--patience=1ms"))
    assert client.returncode == 0, client.stderr
    assert client.stdout.splitlines() == SENT + ANSWERED


@pytest.fixture
def dual_mode(start):
    return start(ours("dual-mode-dual-mode", "--rest-port", "0", "--grpc-port", "0"), 2)


def test_python_grpc_client_is_greeted(dual_mode, stubs):
    client = run(python(stubs, "dual_mode_client", dual_mode[1], "gRPC", "Holi", "2021"))
    assert (client.returncode, client.stderr) == (0, "")
    greeting = "Here is your greetings --> Today is a special day! (Holi, 2021)"
    assert json.loads(client.stdout) == {"greetings": greeting, "messageReceived": True}


@pytest.mark.parametrize("kind, year, field", [("Holi", "0", "year"), ("", "2021", "messageType")])
def test_python_grpc_client_is_told_which_default_is_wrong(dual_mode, stubs, kind, year, field):
    client = run(python(stubs, "dual_mode_client", dual_mode[1], "", kind, year))
    assert client.returncode == 1
    assert client.stderr.startswith(f"INVALID_ARGUMENT: {field} ")


# urllib sends a body as application/x-www-form-urlencoded unless it is told otherwise.
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
@pytest.mark.parametrize("year", [2023, "2023"])
def test_urllib_posts_and_is_greeted(dual_mode, headers, year):
    body = json.dumps({"dataCommType": "REST", "messageType": "Diwali", "year": year})
    url = f"http://{dual_mode[0]}/v1/get_greetings"
    request = urllib.request.Request(url, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.read() == DIWALI


def test_urllib_gets_and_is_greeted(dual_mode):
    query = "dataCommType=REST&messageType=Diwali&year=2023"
    url = f"http://{dual_mode[0]}/v1/get_greetings?{query}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.read() == DIWALI


def test_urllib_is_told_which_field_is_missing(dual_mode):
    url = f"http://{dual_mode[0]}/v1/get_greetings"
    request = urllib.request.Request(url, b'{"messageType": "Diwali"}')
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    assert refused.value.code == 400
    assert "year" in json.load(refused.value)["detail"]
