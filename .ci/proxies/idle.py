#!/usr/bin/env python3
"""Idle connections, up to the server's limit and beyond: idle.py NAME PORT ADMIN COUNT http1|http2

Opens COUNT connections that are silent after their first bytes, and then wants an answer of the port, by a new
connection, and of /healthz on the admin port, each within a second. Exits with 1 if one takes longer.
"""
import http.client
import resource
import socket
import sys
import time

WITHIN = 1.0  # second: what an honest client is promised
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")

name, port, admin, count, protocol = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
idle = []
for _ in range(count):
    peer = socket.create_connection(("127.0.0.1", port), timeout=30)
    peer.sendall(PREFACE if protocol == "http2" else b"GET / HTTP/1.1\r\n")
    idle.append(peer)


def timed(ask):
    begun = time.monotonic()
    try:
        outcome = ask()
    except OSError as error:
        outcome = type(error).__name__
    return outcome, time.monotonic() - begun


def honest():
    """Whether a new connection's SETTINGS, or answer, come."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.sendall(PREFACE if protocol == "http2" else b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return "answered" if peer.recv(9) else "closed"


def healthz():
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    return "answered" if status == 200 else status


late = False
for what, ask in (("a client", honest), ("/healthz", healthz)):
    outcome, took = timed(ask)
    well = outcome == "answered" and took < WITHIN
    late |= not well
    print(f"{'ok  ' if well else 'FAIL'} {count} idle, {name}, {protocol}: {what} is {outcome} after {took * 1e3:.0f} ms")
sys.exit(late)
