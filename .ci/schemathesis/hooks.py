"""Protobuf for schemathesis, which knows only JSON: a body that fits the schema is sent as the message
that it stands for in the proto3 JSON mapping, and an answer is read back the same way."""

import os
from pathlib import Path

import schemathesis
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

PACKAGE = "rest_grpc_dual_mode"
NO_MESSAGE = b"\xff"  # what stands for a body that protobuf cannot say: the tag is cut off


def messages():
    """The classes of the contract's messages, by name."""
    files = descriptor_pb2.FileDescriptorSet.FromString(Path(os.environ["CONTRACT"]).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    names = [message.name for file in files.file for message in file.message_type]
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"{PACKAGE}.{name}")) for name in names}


MESSAGES = messages()


def message(operation, end):
    """An empty message: the one that `operation` takes ("Request") or gives ("Response")."""
    batch = "Batch" if operation.path.endswith(":batch") else ""
    return MESSAGES[f"{batch}{end}Message"]()


@schemathesis.serializer("application/protobuf")
def to_protobuf(context, value):
    if isinstance(value, bytes):
        return value
    try:
        request = json_format.ParseDict(value, message(context.case.operation, "Request"))
        return request.SerializeToString()
    except (json_format.ParseError, AttributeError, TypeError, ValueError):
        return NO_MESSAGE


@schemathesis.deserializer("application/protobuf")
def from_protobuf(context, response):
    answer = message(context.operation, "Response")
    answer.ParseFromString(response.content)
    return json_format.MessageToDict(answer)
