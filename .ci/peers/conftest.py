"""Peers as programs: ours are built by run.sh, Python's are beside this file."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CONTRACTS = {"ours": HERE.parents[1] / "proto", "original": HERE / "original"}
PATIENCE = 60  # seconds: the end of every wait, reached only by a test that fails


@pytest.fixture(scope="session", params=CONTRACTS)
def stubs(request, tmp_path_factory):
    """A directory of stubs, made from our contracts, and again from the original's alone."""
    out = tmp_path_factory.mktemp(request.param)
    contract = CONTRACTS[request.param]
    files = sorted(str(file) for file in contract.glob("*.proto"))
    assert len(files) == 3
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={contract}"]
    outputs = [f"--python_out={out}", f"--grpc_python_out={out}"]
    subprocess.run([*protoc, *outputs, *files], check=True, timeout=PATIENCE)
    return out


def ours(name, *args):
    """The command line of one of our programs."""
    return [str(Path(os.environ["PROGRAMS"], name)), *args]


def python(stubs, name, *args):
    """The command line of a Python peer that uses `stubs`."""
    script = HERE / "python" / f"{name}.py"
    return ["env", f"PYTHONPATH={stubs}", sys.executable, str(script), *args]


def run(command):
    """Runs `command` to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def start():
    """Starts a server, ended with the test, and returns the last word of its first lines."""
    servers = []

    def start(command, lines):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        servers.append(server)
        end = threading.Timer(PATIENCE, server.kill)
        end.start()
        printed = [server.stdout.readline() for _ in range(lines)]
        end.cancel()
        assert all(printed), f"{command} printed only {printed}"
        return [line.split()[-1] for line in printed]

    yield start
    for server in servers:
        server.terminate()
        try:
            server.wait(PATIENCE)
        finally:
            server.kill()
            server.stdout.close()
