"""The unary client of the original: `unary_client.py ADDRESS [MESSAGE]`."""

import sys

import grpc
import unary_pb2
import unary_pb2_grpc

address = sys.argv[1]
message = sys.argv[2] if len(sys.argv) > 2 else "Hello Server you there?"
with grpc.insecure_channel(address) as channel:
    request = unary_pb2.Message(message=message)
    answer = unary_pb2_grpc.UnaryStub(channel).GetServerResponse(request, timeout=30)
    print(answer.message)
    print(answer.received)
