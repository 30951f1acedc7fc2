"""The manual's pages on the protocol and the architecture say what the code says: each number, file and message."""

import re
from pathlib import Path

import pytest

import gossipreg
from gossipreg import config, generation, model
from gossipreg.config import PROFILES, lan
from gossipreg.core.gossip import reconcile
from gossipreg.core.session import outbox, round_trips, sessions
from gossipreg.core.table import fingerprint, layout
from gossipreg.daemon.streams import accepting, link, node_streams, stream_sockets
from gossipreg.streams import broken, connection, frames, handshake, stream_seal
from gossipreg.wire import codec, messages, seal, values

PACKAGE = Path(gossipreg.__file__).parent
ROOT = PACKAGE.parent
ROOMS = sorted(path.parent.name for path in (PACKAGE / "core").glob("*/__init__.py"))
DOCS = PACKAGE / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text() for name in ("architecture", "contributing", "protocol")}
PROTOCOL = " ".join(PAGES["protocol"].split())
HEADERS_BYTES = 8 + 20 + 14
"""Of UDP, IPv4 and Ethernet."""
IDLE_BYTES = HEADERS_BYTES + seal.HEADER_BYTES + seal.TAG_BYTES + len(codec.encode(messages.Probe(1, 2)))
MINUTE, HOUR = 60, 3600

FACTS = (
    # the table
    f"{model.NODE_ID_BYTES} bytes: SHA-256 of its Ed25519 public key",
    f"kind {layout.KIND_MEMBER}: the member itself, kind {layout.KIND_SERVICE}: a service, "
    f"kind {layout.KIND_HEALTH}: the health",
    f"kind {layout.KIND_JOURNAL_CLAIM}: a journal that the member leads, kind {layout.KIND_JOURNAL_HOST}: its host,",
    f"kind {layout.KIND_SUBSCRIPTION}: a subscription to events, kind {layout.KIND_GROUP}: a group of subscriptions",
    f"kind {layout.KIND_JOURNAL_LEADERLESS}: a journal of which it has a copy,",
    f"{64 - generation.RANDOM_BITS} bits of wall-clock milliseconds and {generation.RANDOM_BITS} random bits",
    f"An entry takes at most {layout.PART_BYTES} bytes",
    "page with base 0 begins",
    f"for at least {lan.tombstone_s / MINUTE:g} minutes, unless there are more than {lan.tombstones_max:,}",
    f"{messages.MAX_HASH.bit_length()} bits: the XOR",
    f"stays for {lan.dead_row_s / HOUR:g} hours, out of the answers",
    f"stays for {lan.dead_row_brief_s / MINUTE:g} minutes if the member has no data directory",
    f"more than {lan.future_s:g} s in the future",
    f"After {lan.failure.quarantine_tries} probes without an ack",
    # probing
    f"Once in a period ({lan.period_s:g} s)",
    f"has {IDLE_BYTES} bytes",
    f"Every {lan.random_compare_periods} periods a random member",
    f"Smoothed round trip plus {round_trips._DEVIATIONS:g} times its variation",
    f"else {lan.rtt_initial_s:g} s. It is never below {lan.rtt_floor_s:g} s nor above {lan.rtt_ceiling_s:g} s",
    "multiplied by 1 + score",
    f"The score is at most {lan.local_health_max}.",
    f"more than {lan.stall_s:g} s late",
    f"After {lan.voided_probes} voided probes",
    # suspicion
    f"helper ({lan.helpers} of them)",
    f"At most {lan.failure.suspicions_max} members are suspected at one time",
    f"{lan.floor_refused_s:g} s since the first missed probe if the port was refused, "
    f"{lan.floor_silent_s:g} s if there was only silence, both times 1 + local health",
    f"At least {lan.reports_needed} members found it unreachable",
    "if only two members live",
    f"for {lan.alone_s / MINUTE:g} minutes, or for {lan.alone_small_s:g} s if the cluster has at most "
    f"{lan.failure.small_members} members",
    "Its first {} returns are at once; the third waits {} s, later ones wait {} s.".format(
        lan.failure.flap_waits_s.count(0), *lan.failure.flap_waits_s[2:]
    ),
    f"Returns are forgotten after {lan.failure.flap_remembered_s / MINUTE:g} minutes",
    f"with probability {lan.lost_calls:g} / (living members), at most 1.",
    f"the {lan.lost_max} members that died last",
    # dissemination
    f"and to {lan.fanout_random} random member.",
    f"{lan.fanout_random} random member (not retransmitted)",
    f"within {lan.gather_s * 1000:g} ms is gathered",
    f"those of the next {lan.receipt_gather_s * 1000:g} ms are gathered",
    f"retransmitted up to {len(lan.gossip.ack_timeouts) - 1} times; "
    f"the timeout is never below {lan.repeat_floor_s * 1000:g} ms",
    f"at most {lan.send_bytes_s:,} bytes a second",
    # anti-entropy
    f"for {(messages.MAX_HASH.bit_length() + 7) // 8} bytes. If the fingerprints differ",
    f"in {1 << reconcile._BITS_MIN} to {1 << reconcile._BITS_MAX} buckets by id, a salted hash of 4 bytes each",
    f"a salted hash of {messages.ROW_HASH_BYTES} bytes for each row",
    f"within the last {lan.settle_s:g} s is left out",
    f"about once in {lan.compare_s:g} s",
    f"up to {2**lan.gossip.compare_doublings} times as long",
    f"lacked {lan.gossip.many_rows} rows or more compares soon with 2 random members",
    # join
    f"at most {min(lan.pulls_at_once, lan.pull_bytes_at_once // lan.datagram_bytes)} rows at a time",
    f"then after {lan.session.reconnect_first_s:g} s and at growing intervals up to {lan.session.reconnect_max_s:g} s",
    f"does not come within {lan.gossip.list_again_s:g} s",
    f"tried {lan.gossip.pull_tries} times, twice with the same member",
    f"whose table {lan.gossip.lists_at_once} others began to list",
    f"up to {lan.gossip.offered_members} other members to ask",
    f"after {lan.gossip.list_missing_first_s:g} s and at doubling intervals up to {lan.gossip.list_missing_max_s:g} s",
    f"again, after {lan.gossip.list_unsynced_first_s:g} s and at doubling intervals up to",
    f"{lan.gossip.list_unsynced_max_s:g} s. If none of them is synced by then",
    f"once the first of them came {lan.gossip.first_silent_s:g} s ago",
    # leave
    f"after {lan.leave_s:g} s at the latest",
    f"a time of at most {values.MAX_HOLD_S:g} s",
    # addresses
    f"when {lan.local.witnesses} members name it",
    f"for {lan.local.address_quiet_periods:g} periods",
    # path MTU
    f"{outbox.BASE_BYTES:,} bytes assumed",
    f"{lan.datagram_bytes:,} bytes used once",
    f"{outbox.FLOOR_BYTES} bytes used if not even {outbox.BASE_BYTES:,} bytes arrive",
    f"to within {lan.session.size_step_bytes} bytes",
    f"{lan.session.size_losses} losses mean",
    f"confirmed every {lan.session.size_confirm_s:g} s",
    f"again every {lan.session.size_raise_s:g} s",
    # sealing
    f"0 1 {seal._BOOT_ID_AT} {seal._COUNTER_AT} {seal.HEADER_BYTES} | format | key id {seal.KEY_ID_BYTES} "
    f"| boot id {model.BOOT_ID_BYTES} | counter {seal.COUNTER_BYTES}| body ... | tag {seal.TAG_BYTES} |",
    f"a boot id of {model.BOOT_ID_BYTES} random bytes",
    f"the nonce is {len(seal._NONCE_START)} zero bytes",
    f"A replay window of {seal.WINDOW:,} counters",
    f"at most {outbox.AMPLIFICATION} times the bytes that it sent",
    f"A key has {seal.KEY_BYTES} bytes",
    # streams
    f"Both nonces have {handshake.NONCE_BYTES} bytes",
    f"after {stream_seal.MAX_FRAMES:,} frames in one direction, or after {connection.LIFETIME_S / HOUR:g} hours",
    f"may take {connection.HANDSHAKE_S:g} s and {handshake.MAX_HANDSHAKE_BYTES:,} bytes",
    f"At most {accepting.HALF_OPEN_MAX} connections may be in their handshake",
    f"A member has at most {node_streams.STREAMS_MAX} streams.",
    f"if none was idle for {node_streams.IDLE_S:g} s, it is refused",
    f"takes nothing for {link.STALLED_S:g} s loses its stream",
    f"A frame has at most {stream_seal.MAX_FRAME_BYTES:,} bytes",
    f"A message has at most {frames.MAX_MESSAGE_BYTES:,} bytes. If more than {frames.MAX_QUEUE_BYTES:,} bytes of one",
    f"what that end sends is not acked for {stream_sockets.UNACKED_S:g} s",
    f"opens a stream again after {broken.AGAIN.first_s:g} s",
    f"after longer waits, up to {broken.AGAIN.longest_s:g} s",
    # versions
    f"This release speaks version {model.PROTOCOL}, and so does the first release",
    f"the bytes of a range of {model.FIRST_PROTOCOL} alone are left out",
)

PROFILE_ROWS = {
    "period of probing": "period_s",
    "ack timeout at least": "rtt_floor_s",
    "ack timeout before the first measurement": "rtt_initial_s",
    "ack timeout at most": "rtt_ceiling_s",
    "until death, port refused": "floor_refused_s",
    "until death, silence": "floor_silent_s",
    "between two comparisons": "compare_s",
    "a change counts as settled after": "settle_s",
    "receipts are gathered for": "receipt_gather_s",
    "retransmit timeout at least": "repeat_floor_s",
    "a timer that is later shows a stall": "stall_s",
}

NAMES = r"RFC \d+|\b(?:2002|2018)\b|IPv4|ChaCha20-Poly1305|SHA-256|Ed25519|BLAKE2b|\b1\. |\b2\. |\b3\. |\b4\. "
IDS = r"3a\.\.|7c\.\.|web-3"
"""Numbers of this kind are names."""


def test_the_profiles_of_the_page_are_those_of_the_code() -> None:
    rows = {}
    for line in PAGES["protocol"].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "what":
            rows[cells[0]] = [float(cell) for cell in cells[1:]]
    profiles = [PROFILES[name] for name in ("local", "lan", "wan")]
    assert rows == {what: [getattr(one, field) for one in profiles] for what, field in PROFILE_ROWS.items()}


def test_every_time_in_which_the_profiles_differ_is_on_the_page() -> None:
    differ = {field for field in config.BOUNDS if len({getattr(profile, field) for profile in PROFILES.values()}) > 1}
    assert differ <= set(PROFILE_ROWS.values())


@pytest.mark.parametrize("fact", FACTS)
def test_a_number_of_the_protocol_page_is_that_of_the_code(fact: str) -> None:
    assert fact in PROTOCOL


def test_no_number_of_the_protocol_page_is_left_uncompared() -> None:
    text = " ".join(line for line in PAGES["protocol"].splitlines() if not line.startswith("| "))
    text = " ".join(text.split())
    for fact in sorted(FACTS, key=len, reverse=True):
        text = text.replace(fact, "")
    text = re.sub(f"{NAMES}|{IDS}", "", text)
    assert [text[max(0, found.start() - 40) : found.end() + 20] for found in re.finditer(r"\d+", text)] == []


def test_a_generation_is_48_bits_of_time_and_16_random_bits() -> None:
    from gossipreg.daemon.identity import draw_generation

    wall_ms = 1_800_000_000_123
    assert draw_generation(wall_ms) >> 16 == wall_ms
    assert wall_ms.bit_length() <= 48


def test_a_fingerprint_takes_eight_bytes_of_a_probe() -> None:
    assert len(codec.encode(messages.Probe(1, 2))) == 2 + 1 + 4 + 8
    assert fingerprint.row_hash("x", model.NodeId(bytes(16)), model.NOTHING, 0).bit_length() <= 64


def test_a_challenge_is_a_keyed_hash_that_costs_no_memory() -> None:
    known = sessions.PeerSessions(bytes)
    address = model.Address("10.0.0.1", 7940)
    for number in range(100):
        known.challenge(model.BootId(number.to_bytes(8, "big")), address, 0.0)
    assert len(known) == 0


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.py|[a-z_]+/))`", PAGES[page]))
    assert named
    core = PACKAGE / "core"
    folders = (
        PACKAGE,
        ROOT,
        core,
        *filter(Path.is_dir, core.iterdir()),
        PACKAGE / "wire",
        ROOT / "tests",
        ROOT / "scripts",
    )
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_architecture_page_names_every_file_of_a_room(room: str) -> None:
    rows = re.findall(rf"^\| `{room}/` \|.*\| (.*) \|$", PAGES["architecture"], re.MULTILINE)
    files = {path.name for path in (PACKAGE / "core" / room).glob("[a-z]*.py")}
    assert [set(re.findall(r"`(\w+\.py)`", row)) for row in rows] == [files]


def test_the_drawing_of_the_package_has_every_part_of_it() -> None:
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {part for part in parts if f"| {part}/ " not in PAGES["architecture"]} == set()


def test_the_protocol_page_names_existing_messages() -> None:
    for name in ("Hello", "Mismatch", "Receipt", "Pull", "Buckets", "Hashes", "Want", "Versions", "List", "Peers"):
        assert name in PROTOCOL
        assert hasattr(messages, name)
