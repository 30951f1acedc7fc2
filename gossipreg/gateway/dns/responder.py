"""Answer one DNS message, of UDP or TCP, with one message or none.

Owns: the steps from a question to its answer, the answers that are kept, and the counters. A plain question about a
service that was asked before takes the fast path: its bytes, in lower case, are the key of the kept answer, so it is
not parsed. An answer is kept as its records. The id, the question, the order of the records and the truncation are made
anew for each client.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable

from gossipreg.errors import BadDatagram
from gossipreg.gateway.dns import wire
from gossipreg.gateway.dns.answers import DnsAnswers
from gossipreg.gateway.dns.compose import DnsAnswer, compose, mark_of
from gossipreg.gateway.dns.directory import Directory
from gossipreg.gateway.dns.rates import Rates, share
from gossipreg.model import Change, is_loopback_host

KEPT_ANSWERS_MAX = 8_192
KEPT_RECORDS_MAX = 20_000
"""The most answers that are kept, and the most records in all of them, some 300 bytes each. Beyond either, all are
dropped. This is enough for the A, AAAA and SRV answers of 1,000 services with a few instances each."""
KEPT_TYPES = (wire.A, wire.AAAA, wire.SRV, wire.TXT, wire.HTTPS)
"""The types that programs ask for. Answers for other types are not kept, so that nobody can fill the memory with 65,536
types."""
CLIENT_MARKS_MAX = 4_096
OUR_UDP_BYTES = 1_232
"""The size that no network fragments (DNS flag day 2020): the most that we accept, and that we send except on
loopback."""
LOOPBACK_UDP_BYTES = 4_096
"""On loopback nothing is fragmented."""
TCP_BYTES = 65_535
TROUBLE_EVERY_S = 1.0
"""At most one report in this time says that a client asks more than its share."""

_FAST = {
    bytes((flags >> 8, low)) + b"\0\1\0\0\0\0\0" + bytes((additionals,)): (flags, additionals)
    for flags in (0, wire.RD)
    for low in (0x00, 0x10, 0x20, 0x30)  # CD and AD may be set or not
    for additionals in (0, 1)
}
"""The bytes of plain questions after their id -> (RD, number of additional records)."""


class Responder:
    def __init__(
        self,
        directory: Directory,
        answers: DnsAnswers,
        *,
        counts: Counter[str],
        salt: bytes,
        rng: random.Random,
        bug: Callable[[str, Exception], None],
        trouble: Callable[[str, str], None] = lambda _key, _message: None,
    ) -> None:
        """`counts` is what `info` shows; what is dropped counts as `drop.REASON`, see `gossipreg.drops`. `salt` is this
        sidecar's own, and the same after a restart. `bug` receives unexpected exceptions, `trouble` reports for the
        operator."""
        self.counts = counts
        self.rates = Rates()
        self._directory = directory
        self._answers = answers
        self._salt = salt
        self._rng = rng
        self._bug = bug
        self._trouble = trouble
        self._trouble_due_at = 0.0
        self._kept: dict[bytes, DnsAnswer] = {}
        self._kept_records = 0
        self._client_marks: dict[str, int] = {}

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        if self._directory.services.changed(changes):
            self._forget()

    def respond_udp(self, data: bytes, host: str, now: float) -> bytes | None:
        """The answer to a datagram from this address; None if it gets no answer. Never raises."""
        if not self.rates.allow(host, now):
            self._report_rate(host, now)
            return self._beyond_rate(data)
        return self._respond(data, host, False)

    def respond_tcp(self, data: bytes, host: str) -> bytes | None:
        """The answer to a message on a stream. Never raises. It does not check `rates`: the caller does, and waits."""
        return self._respond(data, host, True)

    def count(self, name: str) -> None:
        self.counts[name] += 1

    # -- from a question to its answer ---------------------------------------------------------------------------------

    def _respond(self, data: bytes, host: str, tcp: bool) -> bytes | None:
        self.counts["dns.queries"] += 1
        try:
            return self._fast(data, host, tcp) or self._slow(data, host, tcp)
        except BadDatagram as error:
            self.count(f"drop.{error.reason}")
        except Exception as error:
            self._bug("dns", error)
            self.count("dns.answers.servfail")
            return _failure(data)
        return None

    def _fast(self, data: bytes, host: str, tcp: bool) -> bytes | None:
        """The kept answer for these bytes, if they are one question with a plain OPT or none."""
        plain = _FAST.get(data[2:12])
        if plain is None:
            return None
        end = data.find(0, wire.HEADER.size) + 5
        answer = self._kept.get(data[12 : end - 4].lower() + data[end - 4 : end])
        if answer is None or answer.entry is None or answer.revision != answer.entry.revision:
            return None
        if not answer.records and self._directory.knowledge.partial:
            return None
        tail = data[end:]
        edns = None
        if plain[1]:
            if len(tail) != wire.OPT_BYTES or tail[:3] != b"\0\0\x29" or tail[6] or tail[9:] != b"\0\0":
                return None
            edns = wire.Edns(tail[3] << 8 | tail[4], tail[7] > 127)
        elif tail:
            return None
        return self._compose(answer, data[0] << 8 | data[1], plain[0], data[12:end], edns, host, tcp)

    def _slow(self, data: bytes, host: str, tcp: bool) -> bytes:
        """The answer to a question that has to be parsed. Raises BadDatagram."""
        query = wire.parse_query_untrusted(data)
        desired = wire.RD if query.recursion_desired else 0
        if query.rcode == wire.NOERROR:
            answer = self._answers.answer(query)
            if answer.entry is not None and query.type in KEPT_TYPES:
                self._keep(query.question, answer)
            return self._compose(answer, query.id, desired, query.question, query.edns, host, tcp)
        self.count(f"dns.answers.{wire.RCODES[query.rcode]}")
        opt = wire.opt(query.edns, OUR_UDP_BYTES, query.rcode)
        counts = (1 if query.question else 0, 0, 0, 1 if opt else 0)
        flags = query.opcode << 11 | desired
        return wire.header(query.id, flags, query.rcode, *counts) + query.question + opt

    def _compose(
        self, answer: DnsAnswer, id: int, desired: int, question: bytes, edns: wire.Edns | None, host: str, tcp: bool
    ) -> bytes:
        if tcp:
            limit = TCP_BYTES
        elif edns is None:
            limit = wire.UDP_BYTES
        else:
            most = LOOPBACK_UDP_BYTES if is_loopback_host(host) else OUR_UDP_BYTES
            limit = max(wire.UDP_BYTES, min(edns.udp_bytes, most))
        self.counts[answer.counted_as] += 1
        opt = wire.opt(edns, OUR_UDP_BYTES, answer.rcode)
        message, cut = compose(answer, id, desired, question, opt, limit, self._client_mark(host), self._rng)
        if cut:
            self.counts["dns.truncated"] += 1
        return message

    def _beyond_rate(self, data: bytes) -> bytes | None:
        """An empty answer with TC set: the client asks again over TCP, where it has to wait and cannot forge its
        address. The answer is never longer than the question, so it amplifies nothing. None if the datagram is not a
        plain question: it is dropped."""
        plain = _FAST.get(data[2:12])
        end = data.find(0, wire.HEADER.size) + 5
        if plain is None or not wire.HEADER.size < end <= len(data):
            self.count("drop.dns_rate")
            return None
        self.count("dns.sent_to_tcp")
        return data[:2] + wire.header(0, plain[0] | wire.TC, 0, 1, 0, 0, 0)[2:] + data[12:end]

    def _report_rate(self, host: str, now: float) -> None:
        if now >= self._trouble_due_at:
            self._trouble_due_at = now + TROUBLE_EVERY_S
            self._trouble(
                f"dns_rate {host}",
                f"{host} asks more than {share(host):,} DNS questions a second, and is sent to TCP for more: let "
                "its resolver keep answers for a second (--dns-ttl 1s), or let programs ask less often",
            )

    # -- what is kept --------------------------------------------------------------------------------------------------

    def _keep(self, question: bytes, answer: DnsAnswer) -> None:
        size = max(1, len(answer.records))
        if len(self._kept) >= KEPT_ANSWERS_MAX or self._kept_records + size > KEPT_RECORDS_MAX:
            self._forget()
        ends_early = b"\0" in question[:-5]  # a zero byte in a label, where `_fast` would end the question
        if size > KEPT_RECORDS_MAX or ends_early:
            return
        key = question[:-4].lower() + question[-4:]
        before = self._kept.get(key)
        self._kept_records += size - (0 if before is None else max(1, len(before.records)))
        self._kept[key] = answer

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_records = 0

    def _client_mark(self, host: str) -> int:
        mark = self._client_marks.get(host)
        if mark is None:
            if len(self._client_marks) >= CLIENT_MARKS_MAX:
                self._client_marks.clear()
            mark = self._client_marks[host] = mark_of(self._salt + host.encode())
        return mark


def _failure(data: bytes) -> bytes:
    """SERVFAIL, with the header alone."""
    return data[:2] + wire.header(0, (data[2] & 0x79) << 8, wire.SERVFAIL, 0, 0, 0, 0)[2:]
