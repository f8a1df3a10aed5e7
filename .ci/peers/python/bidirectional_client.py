"""The bidirectional client of the original: `bidirectional_client.py ADDRESS`."""

import sys

import bidirectional_pb2
import bidirectional_pb2_grpc
import grpc


def say(line):
    # gRPC asks for the messages on a thread of its own, and print() writes a line in two pieces.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def messages():
    for number in ["First", "Second", "Third", "Fourth", "Fifth"]:
        message = bidirectional_pb2.Message(message=f"{number} message")
        say(f"Hello Server Sending you the {message.message}")
        yield message


with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = bidirectional_pb2_grpc.BidirectionalStub(channel)
    for answer in stub.GetServerResponse(messages(), timeout=30):
        say(f"Hello from the server received your {answer.message}")
