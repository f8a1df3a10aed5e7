#!/usr/bin/env python3
"""Calls through a proxy until standard input closes: load.py REST GRPC

Eight threads ask REST, on a connection each, and four call gRPC-Web by POST; what each was answered is counted.
Exits with 1 if an answer was none of success, or none came.
"""
import collections
import http.client
import json
import sys
import threading

over = threading.Event()
seen = collections.Counter()
# A request for a greeting: messageType Holi, year 2021.
MESSAGE = b"\x12\x04Holi\x18\xe5\x0f"
CALL = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings"


def rest(connection):
    connection.request("GET", "/v1/get_greetings?messageType=Holi&year=2021")
    answer = connection.getresponse()
    well = answer.status == 200 and json.load(answer)["messageReceived"]
    return "answered" if well else f"HTTP {answer.status}"


def web(connection):
    body = b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE
    connection.request("POST", CALL, body, {"Content-Type": "application/grpc-web"})
    answer = connection.getresponse()
    text = answer.read()
    return "answered" if b"grpc-status:0" in text.replace(b" ", b"") else f"HTTP {answer.status} {text[-40:]}"


def work(name, ask, address):
    connection = http.client.HTTPConnection(address, timeout=30)
    while not over.is_set():
        try:
            seen[f"{name}: {ask(connection)}"] += 1
        except (OSError, http.client.HTTPException) as error:
            seen[f"{name}: {type(error).__name__} {error}"] += 1
            connection.close()


threads = [threading.Thread(target=work, args=("REST", rest, sys.argv[1])) for _ in range(8)]
threads += [threading.Thread(target=work, args=("gRPC-Web", web, sys.argv[2])) for _ in range(4)]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
for thread in threads:
    thread.join()
print("    ", dict(seen))
sys.exit(len(seen) != 2 or any("answered" not in outcome for outcome in seen))
