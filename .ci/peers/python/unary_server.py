"""The unary server of the original, on a free port that it prints."""

from concurrent import futures

import grpc
import unary_pb2
import unary_pb2_grpc


class Unary(unary_pb2_grpc.UnaryServicer):
    def GetServerResponse(self, request, context):
        text = f'Hello I am up and running received "{request.message}" message from you'
        return unary_pb2.MessageResponse(message=text, received=True)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
unary_pb2_grpc.add_UnaryServicer_to_server(Unary(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"127.0.0.1:{port}", flush=True)
server.wait_for_termination()
