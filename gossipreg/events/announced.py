"""What a member's row says of events: its subscriptions, and the groups that it remembers. Announcements as bytes.

    subscription   [group, pattern, flags]    flags: 1, every instance gets the event (broadcast); it has no group then;
                                              2, the group begins with the events that are kept
    group          [name, [pattern ...], flags]    a group of a journal that the member leads; flags: 1, one that it was
                                                   told of beforehand (`join --group`)

Each is one msgpack array; elements behind the known ones are ignored, and so are other flags.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgpack

from gossipreg.errors import BadDatagram, BadParams
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.membership import KnownGroup
from gossipreg.events.patterns import check_group, check_pattern

SUBSCRIPTION_KIND, GROUP_KIND = 5, 6
"""The kinds of these announcements in a row."""
MAX_SUBSCRIPTIONS = MAX_ANNOUNCED_GROUPS = 1024
"""Of one member: a sidecar announces no more, and reads no more of another's."""
MAX_DECLARED_GROUPS = 256
"""Of one member: a row has room for those that it remembers, too."""
BROADCAST = DECLARED = 1
PAST = 2
MAX_ELEMENTS = MAX_GROUP_PATTERNS
"""Of one array: headers that promise more would cost memory before they are found wrong."""

_pack: Callable[[object], bytes] = msgpack.Packer().pack
T = TypeVar("T")


class AnnouncedSubscription(NamedTuple):
    group: str
    """Empty: broadcast."""
    pattern: str
    past: bool = False
    """A journal that does not know the group yet gives it the events that are kept."""

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(self.pattern.split("."))


def encode_subscription(subscription: AnnouncedSubscription) -> bytes:
    flags = (PAST if subscription.past else 0) if subscription.group else BROADCAST
    return _pack((subscription.group, subscription.pattern, flags))


def decode_subscription_untrusted(value: bytes) -> AnnouncedSubscription:
    """BadDatagram("bad_value") where it is none."""
    group, pattern, flags = _known(value, 3)
    if type(flags) is not int or flags < 0:
        raise BadDatagram("bad_value", "flags are a number")
    if flags & BROADCAST:
        if group != "":
            raise BadDatagram("bad_value", "a broadcast subscription has no group")
        return AnnouncedSubscription("", _pattern(pattern))
    return AnnouncedSubscription(_group(group), _pattern(pattern), bool(flags & PAST))


def encode_group(group: KnownGroup) -> bytes:
    return _pack((group.name, group.patterns, DECLARED if group.declared else 0))


def decode_group_untrusted(value: bytes) -> KnownGroup:
    """BadDatagram("bad_value") where it is none."""
    name, patterns, flags = _known(value, 3)
    if type(patterns) is not tuple or len(patterns) > MAX_GROUP_PATTERNS:
        raise BadDatagram("bad_value", "patterns are an array")
    if type(flags) is not int or flags < 0:
        raise BadDatagram("bad_value", "flags are a number")
    return KnownGroup(_group(name), tuple(map(_pattern, patterns)), bool(flags & DECLARED))


def declared_groups(texts: Iterable[str]) -> tuple[KnownGroup, ...]:
    """The groups of `join --group NAME=PATTERN`; a name may be there with several patterns. Raises BadParams."""
    patterns: dict[str, dict[str, None]] = {}
    for text in texts:
        name, equals, pattern = text.partition("=")
        if not equals:
            raise BadParams(f"group {text[:80]!r} has no pattern: write NAME=PATTERN, as mail=order.*")
        check_group(name)
        check_pattern(pattern)
        of_group = patterns.setdefault(name, {})
        of_group[pattern] = None
        if len(of_group) > MAX_GROUP_PATTERNS:
            raise BadParams(f"group {name!r} has {len(of_group)} patterns: give at most {MAX_GROUP_PATTERNS}")
    if len(patterns) > MAX_DECLARED_GROUPS:
        raise BadParams(f"{len(patterns)} groups are declared: give at most {MAX_DECLARED_GROUPS}")
    return tuple(KnownGroup(name, tuple(of_group), declared=True) for name, of_group in patterns.items())


def _group(value: object) -> str:
    return _checked(check_group, value)


def _pattern(value: object) -> str:
    _checked(check_pattern, value)
    assert isinstance(value, str)
    return value


def _checked(check: Callable[[str], T], value: object) -> T:
    if type(value) is not str:
        raise BadDatagram("bad_value", "text is needed")
    try:
        return check(value)
    except BadParams as error:
        raise BadDatagram("bad_value", str(error)) from None


def _known(value: bytes, count: int) -> tuple[Any, ...]:
    try:
        fields = msgpack.unpackb(value, use_list=False, max_array_len=MAX_ELEMENTS, max_map_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadDatagram("bad_value") from error
    if type(fields) is not tuple or len(fields) < count:
        raise BadDatagram("bad_value")
    return fields[:count]
