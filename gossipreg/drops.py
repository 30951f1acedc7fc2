"""Every reason for which a sidecar drops what it is sent, or does not send: one line of meaning each, for who reads
`gossipreg info`, where it is counted as `drop.REASON`. A test reads the source: what is counted stands here, and what
stands here is counted.
"""

DROPS: dict[str, str] = {
    # what came: its form and its seal
    "short": "shorter than the header and the seal: cut on the way, or no datagram of ours",
    "unknown_format": "its first byte is none of ours: another program speaks to this port",
    "clear_refused": "not sealed, and this sidecar has a key: its sender was started without one",
    "sealed_refused": "sealed, and this sidecar has no key: give it --key-file",
    "unknown_key": "sealed with a key that this sidecar does not have",
    "bad_tag": "the seal does not hold: changed on the way, or forged",
    "notice": "somebody says that it cannot open what came from here: believed only where it names a datagram of ours",
    "notice_unasked": "such a notice about a datagram that was not sent from here lately: stray, or forged",
    "replay": "it came before, or is too old to tell: doubled by the network, or sent again by a stranger",
    "own": "sent by this sidecar itself: an address of its own is among the seeds",
    # what came: the messages in it
    "empty": "no message in it",
    "too_long": "more than a datagram may carry",
    "truncated": "a message is longer than what is there",
    "bad_message": "a message does not have the form of its kind",
    "bad_value": "a value in a row cannot be read: that value is left out, the rest counts",
    # what came: from whom
    "unbound": "from a process that has not proven who it is yet: it is asked",
    "wrong_cluster": "from a member of another cluster: check --cluster and the seeds",
    "incompatible_version": "from a member that speaks no version of the protocol of this sidecar: upgrade one",
    "mismatch_unasked": "a member of another cluster or protocol version says so, and was not called",
    "other_id": "a process that is known says that it is another member",
    "old_generation": "from a process of a member that has been started again since",
    "strangers_throttled": "an answer to an unknown sender, beyond so many a second",
    # what came: what it says
    "generation_ahead": "a start of a member in the future by our clock, told by another: the member itself is asked",
    "generation_exhausted": "a start of this member that leaves no number above it: nobody believes that",
    "suspect_of_another": "a suspicion, which members of this configuration keep to themselves",
    "buckets_size": "a comparison in more or fewer parts than there may be",
    "buckets_too_often": "comparisons by one member, faster than they are answered",
    # the network, as the kernel has it
    "receive_buffer": "the kernel had no room for it: this sidecar got too little time, or net.core.rmem_max is small",
    "send_buffer_full": "not sent: the kernel's buffer was full",
    "send_too_large": "not sent: the datagram is larger than the interface carries; smaller ones are sent instead",
    "send_no_such_family": "not sent: an IPv6 address where only IPv4 is bound, or the other way round",
    "send_not_an_address": "not sent: a host name where an address belongs",
    # clients of the local socket
    "client_too_many": "a connection beyond those that may be, with none idle: told, and closed",
    "client_idle": "a connection that had been idle for longest, when another needed its place: told, and closed",
    "client_process_too_many": "a connection beyond those that one process may have: told, and closed",
    "client_broke_protocol": "what a client sent is no request, or too large: told, and closed",
    "client_too_slow": "a client did not read what it was sent: told, and closed",
    # questions to the DNS gateway
    "dns_short": "shorter than a DNS header: cut on the way, or no DNS",
    "dns_response": "an answer, where questions belong: another server's, or forged",
    "dns_cut_name": "the name in the question is longer than what is there",
    "dns_bad_label": "a part of a name is longer than 63 bytes, or a pointer where none may be",
    "dns_long_name": "the name in the question is longer than 255 bytes",
    "dns_cut_question": "the question has no type and class",
    "dns_cut_record": "a record behind the question is longer than what is there",
    "dns_trailing": "there is more than the header counts",
    "dns_no_port": "from port 0, where nothing can be sent: forged",
    "dns_rate": "not a plain question, from a client address that is over its limit of questions a second",
    "dns_tcp_crowded": "a connection that gave way to a newer one: there were too many",
    "dns_tcp_long": "a message over TCP longer than any question: the connection was closed",
}

FAMILIES: dict[str, str] = {
    "send_": "not sent: the kernel refused with this error",
    "receive_": "nothing received: the kernel gave this error",
    "dns_send_": "a DNS answer was not sent: the kernel refused with this error",
    "dns_receive_": "no DNS question received: the kernel gave this error",
    "network_": "the network says that it did not arrive, with this error",
}
"""Reasons that end in the name of a system error, by what stands before it."""


def meaning(reason: str) -> str:
    """What it says to a person; empty where a newer sidecar has more reasons."""
    of_family = (text for prefix, text in FAMILIES.items() if reason.startswith(prefix))
    return DROPS.get(reason) or next(of_family, "")
