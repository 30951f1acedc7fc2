"""Every reason for which a sidecar drops what it is sent, or does not send: one line of meaning each, for who reads
`gossipreg info`, where it is counted as `drop.REASON`. A test reads the source: what is counted stands here, and what
stands here is counted.
"""

DROPS: dict[str, str] = {
    # what came: its form and its seal
    "short": "shorter than a header and a seal: cut on the way, or not a datagram of gossipreg",
    "unknown_format": "its first byte is not one of gossipreg: another program sends to this port",
    "clear_refused": "not sealed, and this sidecar has a key: its sender was started without one",
    "sealed_refused": "sealed, and this sidecar has no key: give it --key-file",
    "unknown_key": "sealed with a key that this sidecar does not have",
    "bad_tag": "the seal does not hold: changed on the way, or forged",
    "notice": "a member cannot open datagrams of this sidecar: believed only if it names one that was sent from here",
    "notice_unasked": "such a notice about a datagram that was not sent from here recently: late, or forged",
    "replay": "it came before, or is too old to know: duplicated by the network, or sent again by a stranger",
    "own": "sent by this sidecar itself: one of its own addresses is among the seeds",
    # what came: the messages in it
    "empty": "no message in it",
    "too_long": "larger than a datagram may be",
    "truncated": "a message is longer than the datagram",
    "bad_message": "a message does not have the form of its kind",
    "bad_configuration": "the voters of a journal cannot be read",
    "bad_value": "a value in a row cannot be read: it is ignored, the rest of the row is used",
    # what came: from whom
    "unbound": "from a process that has not proven its identity yet: a handshake is begun",
    "wrong_cluster": "from a member of another cluster: check --cluster and the seeds",
    "incompatible_version": "from a member that speaks no version of the protocol of this sidecar: upgrade one",
    "mismatch_unasked": "a member names another cluster or protocol version, and was not greeted from here",
    "other_id": "from a known process that now names another member id",
    "old_generation": "from an earlier process of a member that was started again since",
    "strangers_throttled": "an answer to an unknown sender, beyond the limit of such answers a second",
    # what came: what it says
    "generation_ahead": "another member reports a generation in the future by this host's clock: its owner is asked",
    "generation_exhausted": "a report that this member has the highest generation that there is: not believed",
    "suspect_of_another": "a suspicion, which members of this configuration do not gossip",
    "buckets_size": "a comparison of tables with too many or too few buckets",
    "buckets_too_often": "a comparison of tables by a member that asks too often",
    # the network, as the kernel has it
    "receive_buffer": "the kernel's receive buffer was full: too little processor time, or a small net.core.rmem_max",
    "send_buffer_full": "not sent: the kernel's buffer was full",
    "send_too_large": "not sent: the datagram is larger than the interface carries; smaller ones are sent instead",
    "send_no_such_family": "not sent: an IPv6 address while only IPv4 is bound, or the other way round",
    "send_not_an_address": "not sent: a host name instead of an address",
    # clients of the local socket
    "client_too_many": "a connection beyond the limit while none was idle: closed with an error",
    "client_idle": "the connection that was idle for longest, when another needed its place: closed with an error",
    "client_process_too_many": "a connection beyond the limit of one process: closed with an error",
    "client_broke_protocol": "a client sent something that is not a request, or is too large: closed with an error",
    "client_held_too_much": "a part of a request, while all clients together had sent too many such parts: closed",
    "client_too_slow": "a client did not read what it was sent: closed with an error",
    # streams between sidecars
    "stream_bad_hello": "a connection to the gossip port did not begin as a stream: another program, or a port scan",
    "stream_unknown_key": "a stream was opened with a key that this sidecar does not have",
    "stream_bad_tag": "a part of a stream does not open: changed on the way, or forged",
    "stream_bad_frame": "a part of a stream does not have its form, though its sender has the key",
    "stream_unproven": "who opened or accepted a stream could not prove its member id",
    "stream_wrong_member": "a stream reached another member than the one that was meant: an address changed hands",
    "stream_wrong_cluster": "a stream to or from a member of another cluster: check --cluster",
    "stream_incompatible_version": "a stream to or from a member that speaks no version of our protocol: upgrade one",
    "stream_own": "a stream that came back to this sidecar itself",
    "stream_refused": "the other member refused a stream",
    "stream_late": "a handshake of a stream took too long",
    "stream_queue_full": "too much waited to be sent to one member: its stream was closed",
    "stream_crowded": "a connection that had not begun a stream gave way to a newer one: there were too many",
    "stream_off_loopback": "a stream from another machine, while this sidecar has no key: give it --key-file",
    "stream_busy": "a stream beyond the limit, while none was idle",
    "stream_old_process": "a stream of an earlier process of a member that was started again since",
    "stream_bad_message": "a message on a stream does not have the form of its kind: the stream was closed",
    "stream_inbox_full": "a stream brought more than this sidecar could take in: it was closed",
    "stream_stalled": "a member did not read what was sent to it over a stream: it was closed",
    # questions to the DNS gateway
    "dns_short": "shorter than a DNS header: cut on the way, or not DNS",
    "dns_response": "an answer instead of a question: from another server, or forged",
    "dns_cut_name": "the name in the question is longer than the message",
    "dns_bad_label": "a part of a name is longer than 63 bytes, or is a pointer, which a question may not have",
    "dns_long_name": "the name in the question is longer than 255 bytes",
    "dns_cut_question": "the question has no type and class",
    "dns_cut_record": "a record after the question is longer than the message",
    "dns_trailing": "the message is longer than its header says",
    "dns_no_port": "from port 0, to which nothing can be sent: forged",
    "dns_rate": "not a plain question, from a client address that is over its limit of questions a second",
    "dns_tcp_crowded": "a connection that was closed for a newer one: there were too many",
    "dns_tcp_long": "a message over TCP longer than any question: the connection was closed",
    "dns_tcp_late": "a part of a message over TCP whose rest did not come in time: the connection was closed",
    "dns_tcp_proxy": "the PROXY protocol on the DNS port: the proxy before it must not send that",
    # clients of the HTTP gateway
    "http_tls": "a client that speaks TLS: write http:// instead of https://; it got a 400",
    "http_not_http": "a connection that did not begin as HTTP: another program, or a port scan; it got a 400",
    # streams of the xDS gateway, each of which was ended
    "xds_not_protobuf": "a message that is no discovery request of xDS v3",
    "xds_name_too_long": "a request for a resource whose name is longer than any name of a service",
    "xds_too_many_names": "a stream asked for more names than one stream may have",
    "xds_names_of_all": "a stream asked for a name beyond the limit of all streams together",
    "xds_names_given_way": "a stream of the client with most names, when another needed some and none were left: ended",
    "xds_too_many_requests": "a stream sent requests without end that answer no response",
    "xds_unknown_nonce": "a stream answered a response that was never sent to it",
    "xds_too_many_streams": "a stream beyond the limit",
    # clients of the xDS gateway
    "xds_not_http2": "a connection that did not begin as HTTP/2: HTTP/1, or another program",
    "xds_tls": "a client that speaks TLS: give it insecure channel credentials in its bootstrap",
    "xds_bad_frame": "a client broke the rules of HTTP/2: its connection was closed",
    "xds_long_headers": "a request with longer headers than any call has: its connection was closed",
    "xds_too_many_calls": "more open calls than one connection may have: it was closed",
    "xds_flood": "a client sent more frames than it has reason for: its connection was closed",
    "xds_no_grpc": "an HTTP/2 request that is no call of gRPC: answered with 415 or 405",
    "xds_encoding": "a call with compressed messages, or with messages that are no protobufs: UNIMPLEMENTED",
    "xds_bad_message": "a compressed message in a call without compression: its call was ended",
    "xds_long_message": "a message longer than 4 MiB: its call was ended with RESOURCE_EXHAUSTED",
    "xds_crowded": "a connection beyond the limit: the one without a call for longest was closed, or else the new one",
    "xds_late_preface": "a connection that did not begin to speak HTTP/2 in time: closed",
    "span_queue_full": "a span, while many waited already: the collector of --otlp is slow, or not there",
    "span_not_exported": "a span that the collector of --otlp did not take, though it was sent several times",
    "span_rejected": "a span that the collector of --otlp refused, and took others of the same request",
    "xds_late_message": "a frame or a message that did not become whole in time: its connection was closed",
    "xds_too_slow": "a client did not read what it was sent: its connection was closed",
    "xds_idle": "a connection without a call: closed",
    "xds_no_pong": "a client did not answer a ping: its connection was closed",
    "xds_held_too_much": "the client with the largest parts of messages, while all together had sent too many: closed",
    "xds_unread_too_much": "the client that read least, while too much waited for all such clients: closed",
}

FAMILIES: dict[str, str] = {
    "send_": "not sent: the kernel refused with this error",
    "receive_": "nothing received: the kernel gave this error",
    "dns_send_": "a DNS answer was not sent: the kernel refused with this error",
    "dns_receive_": "no DNS question received: the kernel gave this error",
    "network_": "the network reports that it did not arrive, with this error",
}
"""Reasons that end in the name of a system error, by what stands before it."""


def meaning(reason: str) -> str:
    """What it says to a person; empty where a newer sidecar has more reasons."""
    of_family = (text for prefix, text in FAMILIES.items() if reason.startswith(prefix))
    return DROPS.get(reason) or next(of_family, "")
