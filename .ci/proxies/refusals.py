#!/usr/bin/env python3
"""Requests that are refused before their bodies were read: refusals.py CLIENT REST GRPC [TIMES]

CLIENT is http.client or curl; REST and GRPC are addresses. A client that writes the whole body first has to see
the refusal, and no reset, and no 502 of a proxy. Exits with 1 if an answer is lost, or is another one.
"""
import collections
import http.client
import pathlib
import re
import subprocess
import sys
import tempfile

PATIENCE = 30  # seconds


def by_http_client(address, path, kind, body):
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        headers = "\n".join(f"{name}: {value}" for name, value in answer.getheaders())
        return answer.status, headers.encode() + b"\n" + answer.read()
    finally:
        connection.close()


def by_curl(address, path, kind, body):
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        command = ["curl", "--silent", "--show-error", "--include", "--http1.1", "--max-time", str(PATIENCE)]
        # Without it curl waits for leave, as other clients do not.
        command += ["--header", "Expect:", "--header", f"Content-Type: {kind}"]
        command += ["--data-binary", f"@{file.name}", f"http://{address}{path}"]
        done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise OSError(f"curl: exit code {done.returncode}")
    return int(done.stdout.split(maxsplit=2)[1]), done.stdout


def code(status, answer):
    """The status of HTTP, or that of gRPC if there is one."""
    grpc = re.search(rb"grpc-status: ?(\d+)", answer, re.IGNORECASE)
    return grpc[1].decode() if grpc else str(status)


def main(client, rest, grpc, times="20"):
    ask = {"http.client": by_http_client, "curl": by_curl}[client]
    lost = False
    for line in (pathlib.Path(__file__).parent / "cases.tsv").read_text().splitlines():
        name, port, path, kind, size, wanted = line.split("\t")
        # One message that is not compressed, with its length: any other server would read it.
        head = b"\0" + (int(size) - 5).to_bytes(4, "big") if port == "gRPC" else b""
        body = head + b"x" * (int(size) - len(head))
        seen = collections.Counter()
        for _ in range(int(times)):
            try:
                seen[code(*ask(grpc if port == "gRPC" else rest, path, kind, body))] += 1
            except (OSError, http.client.HTTPException) as error:
                seen[str(error) or type(error).__name__] += 1
        well = seen == {wanted: int(times)}
        lost |= not well
        print(f"{'ok  ' if well else 'FAIL'} {client:12} {name:22} {dict(seen)}", flush=True)
    return int(lost)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
