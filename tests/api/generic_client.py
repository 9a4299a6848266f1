"""A gRPC client that knows nothing of dockmgr beforehand: it asks the server what there is (server reflection v1).

Usage: generic_client.py HOST:PORT TOKEN_FILE jobs|health
Needs only the grpc and protobuf packages; the few messages of the reflection protocol are built here by hand.
Tested by: tests/api/main.rs, which runs it.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

LIMIT = 30  # seconds for any one call
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


def message_class(pool, name):
    """The class of a message; the way to it changed between releases of protobuf."""
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflection_pool():
    """The part of grpc/reflection/v1 that is used, built field by field."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="r.proto", package="grpc.reflection.v1", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, label, kind, title, type_name in fields:
            made.field.add(name=title, number=number, label=label, type=kind, type_name=type_name)

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    text, raw, nested = field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_MESSAGE
    message(
        "ServerReflectionRequest",
        (3, one, text, "file_by_filename", None),
        (4, one, text, "file_containing_symbol", None),
        (7, one, text, "list_services", None),
    )
    message("FileDescriptorResponse", (1, many, raw, "file_descriptor_proto", None))
    message("ServiceResponse", (1, one, text, "name", None))
    message("ListServiceResponse", (1, many, nested, "service", ".grpc.reflection.v1.ServiceResponse"))
    message(
        "ServerReflectionResponse",
        (4, one, nested, "file_descriptor_response", ".grpc.reflection.v1.FileDescriptorResponse"),
        (6, one, nested, "list_services_response", ".grpc.reflection.v1.ListServiceResponse"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


class Server:
    """A server and what it says about itself."""

    def __init__(self, address, token):
        self.channel = grpc.insecure_channel(address)
        self.metadata = [("authorization", "Bearer " + token)] if token else []
        self.reflection = reflection_pool()
        self.pool = descriptor_pool.DescriptorPool()

    def reflect(self, **question):
        request = message_class(self.reflection, "grpc.reflection.v1.ServerReflectionRequest")
        answer = message_class(self.reflection, "grpc.reflection.v1.ServerReflectionResponse")
        call = self.channel.stream_stream(REFLECTION, request.SerializeToString, answer.FromString)
        return next(call(iter([request(**question)]), metadata=self.metadata, timeout=LIMIT))

    def services(self):
        listed = self.reflect(list_services="*").list_services_response.service
        return [service.name for service in listed]

    def learn(self, service):
        """Fetches the files of a service and what they import, imports first."""
        files = {}
        for blob in self.reflect(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(blob)
            files[file.name] = file

        def add(name):
            try:
                self.pool.FindFileByName(name)
                return
            except KeyError:
                pass
            if name not in files:
                files[name] = self.fetch_file(name)
            for needed in files[name].dependency:
                add(needed)
            self.pool.AddSerializedFile(files[name].SerializeToString())

        for name in list(files):
            add(name)
        return self.pool.FindServiceByName(service)

    def fetch_file(self, name):
        """A file the first answer did not bring along."""
        blobs = self.reflect(file_by_filename=name).file_descriptor_response.file_descriptor_proto
        return descriptor_pb2.FileDescriptorProto.FromString(blobs[0])

    def call(self, service, method, values, **more):
        """Calls a method with a message given as JSON values."""
        found = self.learn(service).methods_by_name[method]
        request = message_class(self.pool, found.input_type.full_name)
        answer = message_class(self.pool, found.output_type.full_name)
        message = json_format.ParseDict(values, request(), descriptor_pool=self.pool)
        streams = getattr(found, "server_streaming", None)
        if streams is None:
            proto = descriptor_pb2.MethodDescriptorProto()
            found.CopyToProto(proto)
            streams = proto.server_streaming
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        call = make(f"/{service}/{method}", request.SerializeToString, answer.FromString)
        return call(message, metadata=more.get("metadata", self.metadata), timeout=LIMIT)


def job_state(job):
    return job.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[job.state].name


def submit(server, script):
    spec = {"command": {"script": {"text": script}}, "labels": {"from": "python"}}
    return server.call("dockmgr.v1.JobService", "CreateJob", {"spec": spec}).job.id


def watch_until_ended(server, job):
    for step in server.call("dockmgr.v1.JobService", "WatchJobs", {"job": str(job)}):
        if step.WhichOneof("event") == "changed" and job_state(step.changed) != "STATE_ACTIVE":
            return step.changed
    raise SystemExit("the watch ended before the job")


def jobs(server):
    job = submit(server, "for i in 1 2 3; do echo line $i; sleep 0.1; done; exit 5")
    print("submitted", job)
    output = b""
    for step in server.call("dockmgr.v1.LogService", "TailLogs", {"job": str(job), "follow": True}):
        if step.WhichOneof("event") == "batch":
            output += b"".join(record.data for record in step.batch.records)
    print("tailed", output)
    ended = watch_until_ended(server, job)
    print("ended", job_state(ended), ended.exit_code)
    sleeper = submit(server, "sleep 600")
    for step in server.call("dockmgr.v1.JobService", "WatchJobs", {"job": str(sleeper)}):
        if step.WhichOneof("event") == "changed" and step.changed.tasks.running == 1:
            break
    server.call("dockmgr.v1.JobService", "StopJob", {"job": str(sleeper), "gracePeriod": "2s"})
    ended = watch_until_ended(server, sleeper)
    print("stopped", job_state(ended), ended.exit_code)


def refusal(server, method, values):
    """The status of a refused call and what its details name."""
    try:
        server.call("dockmgr.v1.JobService", method, values)
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        return error.code().name, details
    raise SystemExit(f"{method} was not refused")


def health(server):
    for service in ["", "dockmgr.v1.JobService"]:
        answer = server.call("grpc.health.v1.Health", "Check", {"service": service}, metadata=[])
        word = answer.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[answer.status].name
        print(f"health of {service or repr('')}: {word}")
    for service in server.services():
        print("service", service)
    bad = {"spec": {"image": "BB:1", "command": {"argv": {"args": ["true"]}}}}
    code, details = refusal(server, "CreateJob", bad)
    print("refused", code, "spec.image" if b"spec.image" in details else details)
    code, details = refusal(server, "GetJob", {"job": "77"})
    print("refused", code, "JOB_NOT_FOUND" if b"JOB_NOT_FOUND" in details else details)
    try:
        server.call("dockmgr.v1.JobService", "ListJobs", {}, metadata=[])
    except grpc.RpcError as error:
        print("without a token", error.code().name)


def main():
    address, token_file, story = sys.argv[1:]
    with open(token_file) as file:
        server = Server(address, file.read().strip())
    {"jobs": jobs, "health": health}[story](server)


main()
