"""A collector, and an application that is traced by OpenTelemetry's own library.

otlp.py collect PORT JOURNAL           takes OTLP over HTTP; writes a line of JSON for each span, and every byte to JOURNAL.raw
otlp.py serve PORT COLLECTOR_PORT      answers every request; tells of its own spans, below whatever the request says
"""

import http.server
import json
import sys
import threading


def collect(port, journal):
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
    from opentelemetry.proto.trace.v1 import trace_pb2 as trace

    lock = threading.Lock()

    def value(any_value):
        return getattr(any_value, any_value.WhichOneof("value"))

    def attributes(message):
        return {one.key: value(one.value) for one in message.attributes}

    def line(resource, span):
        return {
            "service": attributes(resource).get("service.name"),
            "name": span.name,
            "kind": trace.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "state": span.trace_state,
            "links": [link.trace_id.hex() for link in span.links],
            "took_us": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
            "status": span.status.code,
            "attributes": attributes(span),
        }

    class Collector(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            request = service.ExportTraceServiceRequest.FromString(body)
            with lock, open(journal, "a") as lines, open(journal + ".raw", "ab") as raw:
                raw.write(str(self.headers).encode() + body)
                for of in request.resource_spans:
                    for scope in of.scope_spans:
                        for span in scope.spans:
                            lines.write(json.dumps(line(of.resource, span)) + "\n")
            answer = service.ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Collector).serve_forever()


def serve(port, collector):
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "application"}))
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    tracer = provider.get_tracer("application")

    class Application(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            # As any application does that is traced: the standard fields, read by the library.
            above = propagate.extract({name.lower(): value for name, value in self.headers.items()})
            with tracer.start_as_current_span("work", context=above, kind=trace.SpanKind.SERVER):
                said = self.headers.get("traceparent", "") + "\n" + self.headers.get("tracestate", "") + "\n"
            self.send_response(500 if self.path.startswith("/boom") else 200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Application).serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "collect":
        collect(int(sys.argv[2]), sys.argv[3])
    else:
        serve(int(sys.argv[2]), int(sys.argv[3]))
