#!/usr/bin/env bash
# Prometheus 2.42.0 (Debian 12, prometheus 2.42.0+ds-5+deb12u1), `eureka_sd_configs`
#
# Eureka's own clients use an instance only while its status is UP. Prometheus takes every instance that the server lists:
# one that is DOWN, STARTING or OUT_OF_SERVICE becomes a target like the others, so that a planned maintenance shows as
# `up == 0`, and an application that is not ready yet is scraped. The status is in the label
# __meta_eureka_app_instance_status; a relabelling rule has to keep UP.
#
# Seen, with one instance of each status listed:
#
#   targets: DOWN OUT_OF_SERVICE STARTING UNKNOWN UP
#
# Exits with 0 while this is so. Needs apt-get of Debian 12 (as root; nothing is installed), python3, curl. The Eureka
# server is in this script.
set -euo pipefail
folder=$(mktemp -d)
pids=()
end() {
    local status=$? pid
    for pid in "${pids[@]}"; do kill "$pid" && wait "$pid" || true; done 2>/dev/null
    rm -rf "$folder"
    exit "$status"
}
trap end EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives="$folder/debs" \
    "prometheus=2.42.0+ds-5+deb12u1" >/dev/null 2>&1
for package in "$folder"/debs/prometheus_*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done

cat >"$folder/eureka.py" <<'PY'
import http.server

STATUSES = ("UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN")
INSTANCE = """<instance><instanceId>{status}</instanceId><hostName>127.0.0.1</hostName><app>WEB</app>
<ipAddr>127.0.0.1</ipAddr><status>{status}</status><overriddenstatus>UNKNOWN</overriddenstatus>
<port enabled="true">9</port><securePort enabled="false">443</securePort><countryId>1</countryId>
<dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
<metadata/></instance>"""
BODY = f"""<applications><versions__delta>1</versions__delta><apps__hashcode>all</apps__hashcode>
<application><name>WEB</name>{"".join(INSTANCE.format(status=one) for one in STATUSES)}</application>
</applications>""".encode()


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None: ...


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$folder/eureka.py" >"$folder/port" &
pids+=($!)
until [[ -s $folder/port ]]; do sleep 0.1; done
port=$(<"$folder/port")
web=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/prometheus.yml" <<YML
scrape_configs:
  - job_name: eureka
    eureka_sd_configs: [{server: "http://127.0.0.1:$port/eureka", refresh_interval: 1s}]
    relabel_configs:
      - {source_labels: [__meta_eureka_app_instance_status], target_label: status}
YML
"$folder/unpacked/usr/bin/prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="127.0.0.1:$web" >"$folder/log" 2>&1 &
pids+=($!)
seen=""
for ((try = 0; try < 100; try++)); do
    seen=$(curl -s "http://127.0.0.1:$web/api/v1/targets?state=active" | python3 -c '
import json, sys
text = sys.stdin.read()
targets = json.loads(text)["data"]["activeTargets"] if text.startswith("{") else []
print(*sorted(one["labels"]["status"] for one in targets))') || true
    [[ -z $seen ]] || break
    sleep 0.2
done
echo "targets: $seen"
[[ $seen == "DOWN OUT_OF_SERVICE STARTING UNKNOWN UP" ]] || { echo "this behaviour has changed"; exit 1; }
