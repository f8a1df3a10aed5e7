"""The gRPC client of the original: `dual_mode_client.py ADDRESS COMM_TYPE MESSAGE_TYPE YEAR`.

It prints the answer as JSON, or the status that the server answered with.
"""

import sys

import grpc
import rest_grpc_dual_mode_pb2
import rest_grpc_dual_mode_pb2_grpc
from google.protobuf.json_format import MessageToJson

address, comm_type, message_type, year = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    stub = rest_grpc_dual_mode_pb2_grpc.GreetingsGeneratorStub(channel)
    request = rest_grpc_dual_mode_pb2.RequestMessage(
        dataCommType=comm_type, messageType=message_type, year=int(year)
    )
    try:
        print(MessageToJson(stub.GRPCGetGreetings(request, timeout=30), indent=None))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
