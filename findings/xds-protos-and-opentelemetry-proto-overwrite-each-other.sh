#!/usr/bin/env bash
# xds-protos 1.85.0 and opentelemetry-proto 1.45.2 (both PyPI)
#
# Both packages install opentelemetry/proto/.../*_pb2.py, under the same file names; those of xds-protos are of an older
# version of OpenTelemetry's protocol. pip installs the second over the first without a word, and the order is that of
# pip, not of the command line. Where xds-protos comes last, OpenTelemetry's exporter cannot be imported: its
# `InstrumentationScope` is gone. Where opentelemetry-proto comes last, both work. So a program that is an xDS control plane
# cannot depend on the exporter opentelemetry-exporter-otlp-proto-http, and `pip check` finds no fault.
#
# Seen:
#
#   opentelemetry-proto last: both work
#   xds-protos last: ImportError: cannot import name 'InstrumentationScope'
#   pip check: No broken requirements found.
#
# Exits with 0 while this is so. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
pip() { "$folder/v/bin/pip" --quiet --disable-pip-version-check "$@" 2>/dev/null; }

cat >"$folder/try.py" <<'PY'
try:
    import envoy.service.discovery.v3.ads_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

    print("both work")
except ImportError as error:
    print(f"ImportError: {str(error).partition(' from ')[0]}")
PY

pip install xds-protos==1.85.0
pip install opentelemetry-proto==1.45.2
last_otel=$("$folder/v/bin/python" "$folder/try.py")
pip install --force-reinstall --no-deps xds-protos==1.85.0
last_xds=$("$folder/v/bin/python" "$folder/try.py")
checked=$("$folder/v/bin/pip" --disable-pip-version-check check)

seen="opentelemetry-proto last: $last_otel
xds-protos last: $last_xds
pip check: $checked"
echo "$seen"
[[ $seen == "opentelemetry-proto last: both work
xds-protos last: ImportError: cannot import name 'InstrumentationScope'
pip check: No broken requirements found." ]] || { echo "this behaviour has changed"; exit 1; }
