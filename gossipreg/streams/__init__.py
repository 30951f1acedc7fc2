"""Streams: sealed connections between two sidecars, over TCP. Pure, like h11: bytes and the time go in, events and
bytes come out; no socket and no clock.

    connection    one stream, from its first byte to its end
    handshake     the three messages that prove who is at the other end
    stream_seal   the keys of a stream, and its frames sealed and opened
    frames        messages cut into frames by their class, and put together again
    choice        which of two streams of one pair of members stays
    broken        streams that broke at one end alone, and are opened again so that the other end learns it
    values        classes of messages, ends of streams, and who is at the other end
"""
