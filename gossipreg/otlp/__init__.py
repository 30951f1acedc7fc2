"""Spans to a collector, by OTLP over HTTP with protobuf. Loaded only where spans are exported.

    otlp_settings    what the variables OTEL_* say: headers, sampler, resource, TLS
    otlp_message     spans -> the bytes of an ExportTraceServiceRequest
    otlp_post        one request to the collector, and what its answer means
    span_queue       a bounded queue, and the thread that empties it in batches

Written by hand, and not with OpenTelemetry's own packages: their protobuf modules are those that the package xds-protos
has too, in an older version, under the same file names, so that either `--xds` or `--otlp` would not work. The messages
have a few fields, whose numbers never change.
"""
