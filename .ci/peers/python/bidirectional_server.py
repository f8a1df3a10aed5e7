"""The bidirectional server of the original, on a free port that it prints.

`bidirectional_server.py after` is the same server in another order: it reads all and then writes.
"""

import sys
from concurrent import futures

import bidirectional_pb2_grpc
import grpc


class Bidirectional(bidirectional_pb2_grpc.BidirectionalServicer):
    def GetServerResponse(self, request_iterator, context):
        if sys.argv[1:] == ["after"]:
            request_iterator = list(request_iterator)
        for message in request_iterator:
            yield message


server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
bidirectional_pb2_grpc.add_BidirectionalServicer_to_server(Bidirectional(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"127.0.0.1:{port}", flush=True)
server.wait_for_termination()
