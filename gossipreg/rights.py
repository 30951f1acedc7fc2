"""Rights: a table of the right that each verb needs, and the rule which callers have a right.

    read      every caller that the door lets in
    own       every caller that the door lets in, for what belongs to its own uid: a uid registers services, and only
              that uid changes them
    operate   root, the sidecar's own user, members of the group of --socket-admin-group, and TCP clients

Over TCP the kernel names no user, so a service registered there belongs to no uid: operators and TCP clients may change
it. A client that gets through the TCP door may operate, as with a Consul agent without ACLs; --http-token-file closes
that door.

A refusal is NotAllowed: one line with the verb, the uid, and who may do it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from gossipreg.callers import NO_UID, Caller
from gossipreg.errors import NotAllowed
from gossipreg.quick_dataclass import dataclass


class Right(Enum):
    READ = "read"
    OWN = "own"
    OPERATE = "operate"


RIGHTS: dict[str, Right] = {
    "lookup": Right.READ,
    "explain": Right.READ,
    "registered": Right.READ,
    "services": Right.READ,
    "members": Right.READ,
    "watch": Right.READ,
    "unwatch": Right.READ,
    "state": Right.READ,
    "unmet": Right.READ,
    "info": Right.READ,
    "ask-member": Right.READ,
    "config": Right.READ,
    "journals": Right.READ,
    "journal": Right.READ,
    "history": Right.READ,
    "history-end": Right.READ,
    "history-everywhere": Right.READ,
    "xds-show": Right.READ,
    "register": Right.OWN,
    "deregister": Right.OWN,
    "heartbeat": Right.OWN,
    "maint": Right.OWN,
    "drain": Right.OWN,
    "publish": Right.OWN,
    "subscribe": Right.OWN,
    "unsubscribe": Right.OWN,
    "ack": Right.OWN,
    "reject": Right.OWN,
    "retry": Right.OWN,
    "renew": Right.OWN,
    "give_back": Right.OWN,
    "events-groups": Right.READ,
    "events-dead": Right.READ,
    "events-trace": Right.READ,
    "events-retry": Right.OPERATE,
    "events-drop": Right.OPERATE,
    "events-forget": Right.OPERATE,
    "saga-begin": Right.OWN,
    "saga-run": Right.OWN,
    "saga-journal": Right.OWN,
    "saga-step": Right.OWN,
    "saga-after": Right.OWN,
    "saga-commit": Right.OWN,
    "saga-abort": Right.OWN,
    "saga-show": Right.READ,
    "saga-list": Right.READ,
    "saga-wait": Right.READ,
    "saga-retry": Right.OPERATE,
    "saga-skip": Right.OPERATE,
    "saga-give-up": Right.OPERATE,
    "join": Right.OPERATE,
    "leave": Right.OPERATE,
    "reload": Right.OPERATE,
    "force-leave": Right.OPERATE,
    "journal-recover": Right.OPERATE,
}
"""The right for each verb, on the local socket and over HTTP. A verb that is not listed is for operators."""
NODE_WIDE = ("maint", "drain")
"""Verbs that mean the whole sidecar if they name no service. Only operators may use them so."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The rule, with the users and groups that this sidecar was started with."""

    uid: int
    """The user that the sidecar runs as."""
    admin_group: int | None = None
    """The gid of --socket-admin-group."""

    def operates(self, caller: Caller) -> bool:
        if caller.door == "tcp":
            return True
        return caller.uid in (0, self.uid) or self.admin_group in caller.groups

    def check(self, verb: str, caller: Caller, params: Mapping[str, Any] | None = None) -> None:
        """Raise NotAllowed if this caller may not use the verb at all; `params` say what it is used on."""
        right = RIGHTS.get(verb, Right.OPERATE)
        whole_node = verb in NODE_WIDE and not (params and (params.get("id") or params.get("service")))
        if right is not Right.OPERATE and not whole_node:
            return
        if not self.operates(caller):
            what = f"{verb} of the whole node" if whole_node else verb
            raise NotAllowed(f"{what} is not allowed for {caller}: ask {self._operators()}")

    def check_owner(self, verb: str, id: str, owner: int | None, caller: Caller) -> None:
        """Raise NotAllowed if the service belongs to another user. `owner` None: an older release kept it without a
        uid, so the first caller that changes it becomes its owner."""
        if owner is None or (owner == caller.uid and owner != NO_UID) or self.operates(caller):
            return
        whose = "no user, since it came over TCP or is not registered now" if owner == NO_UID else f"user {owner}"
        raise NotAllowed(
            f"{verb} of {_short(id)} is not allowed for {caller}: it belongs to {whose}; ask {self._operators(owner)}"
        )

    def owner_after(self, owner: int | None, caller: Caller) -> int | None:
        """The owner of a service after this caller registered it; `owner` had it before. An operator who changes the
        service of another user does not become its owner."""
        return owner if self.operates(caller) else caller.uid

    def _operators(self, owner: int = NO_UID) -> str:
        users = ["root", *(f"user {uid}" for uid in dict.fromkeys((self.uid, owner)) if uid not in (0, NO_UID))]
        group = "the group of --socket-admin-group" if self.admin_group is None else f"the group {self.admin_group}"
        return f"{', '.join(users)} or a member of {group}"


def _short(id: str) -> str:
    """An id for a message, cut to 24 characters: it may have 255 bytes."""
    return repr(id) if len(id) <= 24 else f"{id[:21]!r}..."
