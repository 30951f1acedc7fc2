"""A flood of datagrams against one sidecar, from a process of its own:

    python -m tests.system.flood PORT KEY_FILE RATE SECONDS

It sends everything that a network may bring: random bytes; the right header before random bytes; datagrams sealed with
another key; datagrams sealed with the cluster's key that are no messages; replayed and truncated datagrams; as root
also datagrams from forged addresses. It prints how many it sent of each kind.
"""

import base64
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gossipreg.model import Address
from gossipreg.wire.messages import Probe
from gossipreg.wire.seal import Keyring
from scripts.tools.packets import forged
from tests.core.speaker import Speaker

PREPARED = 512
"""The number of datagrams of each kind that are made in advance, so that making them does not slow the flood."""


def prepared(keyring: Keyring, rng: random.Random) -> dict[str, list[bytes]]:
    insider, stranger = Speaker(1, keyring=keyring), Speaker(2, keyring=Keyring((rng.randbytes(32),)))
    said = [insider.sealed(insider.hello(nonce=number + 1)) for number in range(PREPARED)]
    kinds: dict[str, Callable[[int], bytes]] = {
        "random": lambda _: rng.randbytes(rng.randrange(1, 1400)),
        "header": lambda n: said[n][:18] + rng.randbytes(40),
        "other boot id": lambda n: said[n][:2] + rng.randbytes(14) + said[n][16:],
        "stranger": lambda n: stranger.sealed(Probe(n, 1)),
        "nonsense": lambda _: insider.sealed_body(rng.randbytes(rng.randrange(1, 200))),
        "unbound": lambda n: insider.sealed(Probe(n, 1)),
        "replayed": lambda n: said[n],
        "truncated": lambda n: said[n][: rng.randrange(len(said[n]))],
    }
    return {kind: [make(number) for number in range(PREPARED)] for kind, make in kinds.items()}


def main(port: int, key_file: str, rate: float, seconds: float) -> None:
    rng = random.Random(1)
    keyring = Keyring((base64.b64decode(Path(key_file).read_text()),))
    ready = prepared(keyring, rng)
    kinds = list(ready)
    plain = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) if os.geteuid() == 0 else None
    sent: Counter[str] = Counter()
    start = time.perf_counter()
    batch = max(1, int(rate / 1000))
    while (passed := time.perf_counter() - start) < seconds:
        behind = int(passed * rate) - sum(sent.values())
        if behind < batch:
            time.sleep(0.0005)
            continue
        for _ in range(min(behind, 4 * batch)):
            kind = rng.choice(kinds)
            data = rng.choice(ready[kind])
            try:
                if forger is not None and rng.random() < 0.25:
                    source = Address(f"127.0.0.{rng.randrange(1, 255)}", rng.randrange(1, 65536))
                    forger.sendto(forged(source, port, data), ("127.0.0.1", 0))
                    kind = "spoofed"
                else:
                    rng.choice(plain).sendto(data, ("127.0.0.1", port))
            except OSError:
                pass
            sent[kind] += 1
    print(sum(sent.values()), dict(sent))  # noqa: T201  # to the process that started it


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
