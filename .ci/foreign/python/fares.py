"""Fares by grpcio, and by aiohttp: fares.py REST_WORK GRPC_WORK, in microseconds of CPU time for each call.

Prints where it listens, and when it is ended what the work came to. Its sockets are of IPv6, so that the
system shows both as ::ffff:127.0.0.1. Its metrics are those of prometheus_client.
"""

import asyncio
import signal
import socket
import sys
import time

import grpc
import prometheus_client
from aiohttp import web
from google.protobuf import json_format
from grpc_reflection.v1alpha import reflection

from tram.v1 import fares_pb2, fares_pb2_grpc

MAPPED = "::ffff:127.0.0.1"


class Work:
    """Work of so many microseconds of CPU time for each call, counted."""

    def __init__(self, microseconds):
        self.per_call = microseconds * 1000
        self.calls = self.took = 0

    def once(self):
        if not self.per_call:
            return
        begun = time.thread_time_ns()
        while (took := time.thread_time_ns() - begun) < self.per_call:
            pass
        self.calls += 1
        self.took += took


def quote(asked):
    fare = fares_pb2.Fare(line=asked.line, ticket=asked.ticket)
    for passenger in asked.passengers:
        cents = (120 if passenger.age < 15 else 240) + (80 if passenger.luggage else 0)
        fare.each.append(cents * 3 if asked.ticket == fares_pb2.TICKET_DAY else cents)
    fare.cents = sum(fare.each)
    return fare


class Fares(fares_pb2_grpc.FaresServicer):
    def __init__(self, work):
        self.work = work

    async def QuoteFare(self, asked, context):
        self.work.once()
        if not asked.passengers:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "passengers must not be empty")
        return quote(asked)


def rest(work):
    async def quote_fare(request):
        work.once()
        try:
            asked = json_format.Parse(await request.text(), fares_pb2.QuoteFareRequest())
        except json_format.ParseError as error:
            return web.json_response({"error": str(error)}, status=400)
        asked.line = request.match_info["line"]
        if not asked.passengers:
            return web.json_response({"error": "passengers must not be empty"}, status=400)
        return web.json_response(json_format.MessageToDict(quote(asked)))

    app = web.Application()
    app.router.add_post("/v1/lines/{line}/fares", quote_fare)
    return app


def mapped_socket():
    listening = socket.socket(socket.AF_INET6)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listening.bind((MAPPED, 0))
    return listening


async def main():
    works = [Work(int(microseconds)) for microseconds in sys.argv[1:3]]
    server = grpc.aio.server()
    fares_pb2_grpc.add_FaresServicer_to_server(Fares(works[1]), server)
    names = [fares_pb2.DESCRIPTOR.services_by_name["Fares"].full_name, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    grpc_port = server.add_insecure_port(f"[{MAPPED}]:0")
    await server.start()

    runner = web.AppRunner(rest(works[0]), access_log=None)
    await runner.setup()
    listening = mapped_socket()
    await web.SockSite(runner, listening).start()
    metrics, _ = prometheus_client.start_http_server(0, addr="127.0.0.1")

    print(f"REST on 127.0.0.1:{listening.getsockname()[1]}")
    print(f"metrics on 127.0.0.1:{metrics.server_port}")
    print(f"gRPC on 127.0.0.1:{grpc_port}", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    calls, took = sum(work.calls for work in works), sum(work.took for work in works)
    print(f"worked {calls} calls {took} ns", flush=True)
    await server.stop(None)
    await runner.cleanup()


asyncio.run(main())
