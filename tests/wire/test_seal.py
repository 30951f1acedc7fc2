"""What is sealed can be read by those with the key alone, and cannot be changed on the way."""

import base64
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadConfig, BadDatagram
from gossipreg.model import BootId
from gossipreg.wire import seal
from gossipreg.wire.codec import encode
from gossipreg.wire.messages import Probe
from gossipreg.wire.seal import (
    HEADER_BYTES,
    MAX_COUNTER,
    NOTICE_FORMAT,
    SEALED_FORMAT,
    TAG_BYTES,
    Keyring,
    Opener,
    Sealer,
    key_id,
    notice_for,
    read_notice_untrusted,
)

OLD, NEW, OTHER = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
BOOT = BootId(b"bootboot")


def ring(*keys: bytes) -> Keyring:
    return Keyring(keys)


def refusal(opener: Opener, datagram: bytes) -> str:
    with pytest.raises(BadDatagram) as caught:
        opener.open_untrusted(datagram)
    return caught.value.reason


# -- sealing and opening ---------------------------------------------------------------------------------------------


@given(st.binary(max_size=1400), st.sampled_from([None, ring(OLD)]), st.binary(min_size=8, max_size=8).map(BootId))
def test_what_was_sealed_opens_as_it_was(body: bytes, keyring: Keyring | None, boot_id: BootId) -> None:
    sealer, opener = Sealer(keyring, boot_id), Opener(keyring)
    for counter in (1, 2):
        datagram = sealer.seal(body)
        assert opener.open_untrusted(datagram) == (boot_id, counter, body)
        assert sealer.counter == counter
        assert len(datagram) == len(body) + sealer.overhead


def test_an_idle_probe_takes_50_bytes_sealed_and_34_clear() -> None:
    probe = encode(Probe(2**32 - 1, 2**64 - 1))
    assert len(Sealer(ring(OLD), BOOT).seal(probe)) == 50
    assert len(Sealer(None, BOOT).seal(probe)) == 34


def test_the_bytes_of_a_sealed_datagram_are_these() -> None:
    """Fixed for ever: a change here is another format."""
    datagram = Sealer(ring(OLD), BOOT).seal(b"body")
    assert datagram.hex() == ("a1" + key_id(OLD).hex() + BOOT.hex() + "000000000001" + datagram[HEADER_BYTES:].hex())
    assert key_id(OLD).hex() == "6ba1d1ad"
    assert datagram[HEADER_BYTES:].hex() == "7098b71640c41817c98be9bfea3434c22991a59c"


def test_a_body_is_not_readable_in_its_datagram() -> None:
    body = b"a secret that is long enough to be found"
    assert body[:8] not in Sealer(ring(OLD), BOOT).seal(body)


def test_equal_bodies_are_sealed_differently_each_time() -> None:
    one, two = Sealer(ring(OLD), BOOT), Sealer(ring(OLD), BootId(b"toobtoob"))
    sealed = {sealer.seal(b"body")[HEADER_BYTES:] for sealer in (one, one, two, two)}
    assert len(sealed) == 4


@pytest.mark.parametrize("warm", [False, True])
def test_a_change_of_any_bit_is_refused(warm: bool) -> None:
    sealer, opener = Sealer(ring(OLD), BOOT), Opener(ring(OLD, NEW))
    if warm:
        opener.open_untrusted(sealer.seal(b"first"))
    datagram = sealer.seal(b"a body of some length")
    for at in range(len(datagram)):
        for bit in range(8):
            forged = bytearray(datagram)
            forged[at] ^= 1 << bit
            reason = refusal(opener, bytes(forged))
            if at == 0:
                assert reason in ("unknown_format", "clear_refused", "notice")
            else:
                assert reason == ("unknown_key" if at < 5 else "bad_tag")
    assert opener.open_untrusted(datagram).body == b"a body of some length"


def test_a_datagram_cut_off_anywhere_is_refused() -> None:
    datagram = Sealer(ring(OLD), BOOT).seal(b"body")
    for size in range(len(datagram)):
        short = size < HEADER_BYTES + TAG_BYTES
        assert refusal(Opener(ring(OLD)), datagram[:size]) == ("short" if short else "bad_tag")
    assert refusal(Opener(ring(OLD)), datagram + b"\0") == "bad_tag"
    for size in range(HEADER_BYTES):
        assert refusal(Opener(None), datagram[:size]) == "short"


@given(st.binary(max_size=100), st.sampled_from([None, ring(OLD), ring(OLD, NEW)]))
def test_random_bytes_do_no_harm(datagram: bytes, keyring: Keyring | None) -> None:
    check_hostile(Opener(keyring), datagram)


@given(st.sampled_from([0xA0, 0xA1, 0xA2]), st.sampled_from([OLD, OTHER]), st.binary(max_size=60))
def test_random_bytes_behind_a_known_start_do_no_harm(form: int, key: bytes, rest: bytes) -> None:
    for opener in (Opener(None), Opener(ring(OLD))):
        check_hostile(opener, bytes((form,)) + key_id(key) + rest)


def check_hostile(opener: Opener, datagram: bytes) -> None:
    try:
        opened = opener.open_untrusted(datagram)
    except BadDatagram as bad:
        if bad.reason not in {
            "short", "unknown_format", "clear_refused", "sealed_refused", "unknown_key", "bad_tag", "notice"
        }:  # fmt: skip
            raise
    else:
        assert opener.open_untrusted(Sealer(None, opened.boot_id).seal(b"clear")).body == b"clear"


def test_clear_and_sealed_do_not_mix() -> None:
    clear, sealed = Sealer(None, BOOT).seal(b"body"), Sealer(ring(OLD), BOOT).seal(b"body")
    assert refusal(Opener(ring(OLD)), clear) == "clear_refused"
    assert refusal(Opener(None), sealed) == "sealed_refused"


def test_a_format_of_another_version_is_refused() -> None:
    for form in set(range(256)) - {0xA0, 0xA1, 0xA2}:
        assert refusal(Opener(None), bytes((form,)) + bytes(60)) == "unknown_format"


# -- counters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyring", [None, ring(OLD)])
def test_the_counter_ends_rather_than_begin_again(keyring: Keyring | None) -> None:
    sealer = Sealer(keyring, BOOT)
    sealer.counter = MAX_COUNTER - 1
    assert Opener(keyring).open_untrusted(sealer.seal(b"last")).counter == 2**48 - 1
    for _ in range(2):
        with pytest.raises(OverflowError):
            sealer.seal(b"one more")
    assert sealer.counter == MAX_COUNTER


def test_the_counter_goes_on_over_a_change_of_keys() -> None:
    sealer, opener = Sealer(ring(OLD), BOOT), Opener(ring(OLD, NEW))
    counters = []
    for keys in (ring(OLD), ring(NEW), ring(OLD)):
        sealer.rekey(keys)
        counters.append(opener.open_untrusted(sealer.seal(b"body")).counter)
    assert counters == [1, 2, 3]


# -- keys ------------------------------------------------------------------------------------------------------------


def test_another_key_opens_nothing_and_is_named_unknown() -> None:
    assert refusal(Opener(ring(OTHER)), Sealer(ring(OLD), BOOT).seal(b"body")) == "unknown_key"


def test_the_first_key_seals_and_all_open() -> None:
    datagram = Sealer(ring(NEW, OLD), BOOT).seal(b"body")
    assert datagram[1:5] == key_id(NEW)
    assert Opener(ring(OLD, NEW)).open_untrusted(datagram).body == b"body"
    assert Opener(ring(NEW)).open_untrusted(datagram).body == b"body"


def test_members_understand_each_other_at_each_step_of_rotation() -> None:
    boots = [BootId(bytes([at]) * 8) for at in range(4)]
    sealers = [Sealer(ring(OLD), boot) for boot in boots]
    openers = [Opener(ring(OLD)) for _ in boots]

    def all_understand() -> None:
        for sealer in sealers:
            datagram = sealer.seal(b"body")
            assert all(opener.open_untrusted(datagram).body == b"body" for opener in openers)

    all_understand()
    for step in (ring(OLD, NEW), ring(NEW, OLD), ring(NEW)):
        for sealer, opener in zip(sealers, openers, strict=True):
            sealer.rekey(step)
            opener.rekey(step)
            all_understand()


def test_a_removed_key_opens_nothing_even_if_a_subkey_was_kept() -> None:
    sealer, opener = Sealer(ring(OLD), BOOT), Opener(ring(OLD, NEW))
    opener.open_untrusted(sealer.seal(b"body"))
    opener.rekey(ring(NEW))
    assert refusal(opener, sealer.seal(b"body")) == "unknown_key"


def test_two_keys_of_the_same_id_both_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "key_id", lambda _key: b"same")
    old, new = Sealer(ring(OLD), BOOT), Sealer(ring(NEW), BOOT)
    opener = Opener(ring(OLD, NEW))
    for sealer in (old, new, new, old, new, old):  # the subkey kept is the other's at each change
        assert opener.open_untrusted(sealer.seal(b"body")).body == b"body"
    assert refusal(opener, Sealer(ring(OTHER), BOOT).seal(b"body")) == "bad_tag"


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The boot ids for which a subkey was derived since, in order."""
    boots: list[bytes] = []
    real = seal._cipher

    def spy(key: bytes, boot_id: bytes) -> Any:
        boots.append(boot_id)
        return real(key, boot_id)

    monkeypatch.setattr(seal, "_cipher", spy)
    return boots


def test_a_subkey_is_kept_once_it_opened_a_datagram(derived: list[bytes]) -> None:
    sealer, opener = Sealer(ring(OLD), BOOT), Opener(ring(OLD))
    derived.clear()
    first = sealer.seal(b"body")
    forged = first[:-1] + bytes((first[-1] ^ 1,))
    assert refusal(opener, forged) == refusal(opener, forged) == "bad_tag"
    assert derived == [BOOT, BOOT]
    opener.open_untrusted(first)
    opener.open_untrusted(sealer.seal(b"body"))
    assert derived == [BOOT, BOOT, BOOT]


def test_subkeys_are_bounded_and_the_one_used_longest_ago_goes(
    derived: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "MAX_SUBKEYS", 3)
    boots = [BootId(bytes([at]) * 8) for at in range(4)]
    sealers = [Sealer(ring(OLD), boot) for boot in boots]
    opener = Opener(ring(OLD))
    for at in (0, 1, 2, 0, 3):  # 1 goes
        opener.open_untrusted(sealers[at].seal(b"body"))
    derived.clear()
    for at in (0, 2, 3, 1):
        opener.open_untrusted(sealers[at].seal(b"body"))
    assert derived == [boots[1]]


# -- the keyring -----------------------------------------------------------------------------------------------------


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_keys_are_read_one_a_line_with_comments_and_blank_lines() -> None:
    text = f"# ours\n\n  {written(NEW)}  # since May\r\n{written(OLD)}\n"
    assert Keyring.parse_untrusted(text).keys == (NEW, OLD)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no key"),
        ("# nothing\n\n", "there is no key"),
        (f"{written(OLD)}\nnot base64!\n", "line 2 of the keys is not base64"),
        (f"\n{written(OLD[:16])}", "line 2 of the keys has 16 bytes: a key is 32"),
        (written(OLD)[:-1], "line 1 of the keys is not base64"),
        ("schlüssel", "line 1 of the keys is not base64"),
    ],
)
def test_a_bad_key_is_named_by_its_line_and_never_shown(text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says) as caught:
        Keyring.parse_untrusted(text)
    for line in text.splitlines():
        assert line.strip() == "" or line.strip() not in str(caught.value)


@given(st.text(max_size=80))
def test_any_text_is_a_keyring_or_a_bad_config(text: str) -> None:
    try:
        keyring = Keyring.parse_untrusted(text)
    except BadConfig:
        return
    assert all(len(key) == 32 for key in keyring.keys)


def test_a_keyring_does_not_show_its_keys() -> None:
    keyring = ring(OLD)
    assert repr(OLD)[2:-1] not in repr(keyring)
    assert written(OLD) not in repr(keyring)


@pytest.mark.parametrize("keys", [(), (b"short",), (OLD, bytes(33))])
def test_a_keyring_of_no_or_bad_keys_cannot_be_made(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(BadConfig):
        Keyring(keys)


# -- notices ---------------------------------------------------------------------------------------------------------


def test_a_notice_names_the_datagram_whose_key_is_not_ours() -> None:
    sealer = Sealer(ring(OLD), BOOT)
    sealer.seal(b"first")
    datagram = sealer.seal(b"")
    notice = notice_for(datagram)
    assert notice[0] == NOTICE_FORMAT
    assert read_notice_untrusted(notice) == (key_id(OLD), BOOT, 2)
    assert len(notice) < len(datagram)


@pytest.mark.parametrize("keyring", [None, ring(OLD)])
def test_a_notice_opens_as_nothing_else(keyring: Keyring | None) -> None:
    notice = notice_for(Sealer(ring(OLD), BOOT).seal(b"body"))
    assert refusal(Opener(keyring), notice) == "notice"


@given(st.binary(max_size=40))
def test_what_is_no_notice_is_refused(datagram: bytes) -> None:
    for tried in (datagram, bytes((NOTICE_FORMAT,)) + datagram, bytes((SEALED_FORMAT,)) + datagram[:18].ljust(18)):
        if len(tried) == HEADER_BYTES and tried[0] == NOTICE_FORMAT:
            assert read_notice_untrusted(tried)[0] == tried[1:5]
        else:
            with pytest.raises(BadDatagram, match="notice"):
                read_notice_untrusted(tried)


# -- what a cluster without a key pays -------------------------------------------------------------------------------


def test_without_a_key_cryptography_is_not_loaded() -> None:
    program = (
        "import sys\n"
        "from gossipreg.wire import codec, seal, values\n"
        "sealer, opener = seal.Sealer(None, b'bootboot'), seal.Opener(None)\n"
        "assert opener.open_untrusted(sealer.seal(b'body')).body == b'body'\n"
        "assert 'cryptography' not in sys.modules, 'loaded without a key'\n"
        "seal.Sealer(seal.Keyring((bytes(32),)), b'bootboot')\n"
        "assert 'cryptography' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
