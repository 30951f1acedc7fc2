"""Which lines of the log are lines of the history, and in which words.

Owns: the table, by kind. A kind that is not in it is not kept, and only what a rule names gets in. So no traceback, no
answer of a program, no command and no URL of a check, which may hold secrets, is ever in the history; a test puts
secrets into all of them. Never knows: where lines go.
"""

from collections.abc import Callable, Mapping

from gossipreg.daemon.history.own_words import own_status
from gossipreg.daemon.logs import Field

Fields = Mapping[str, Field]
Words = Callable[[Fields], str]

MEMBER_TOPIC = "member"
"""Deaths and returns of one member count together."""


def caller(fields: Fields) -> str:
    """` by uid 1000 (pid 77)`; empty where no caller is named: the sidecar itself did it."""
    match fields.get("via"):
        case None:
            return ""
        case "tcp":
            return " by a TCP client"
        case _:
            pid = f" (pid {fields['pid']})" if fields.get("pid") else ""
            return f" by uid {fields.get('uid')}{pid}"


def _as_said(fields: Fields) -> str:
    return str(fields.get("message", ""))


def _named(text: str) -> Words:
    return lambda fields: text.format_map(_Known(fields))


class _Known(dict[str, object]):
    """The fields; one that is missing is shown as `?`."""

    def __missing__(self, name: str) -> str:
        return "?"


def _with_caller(text: str) -> Words:
    return lambda fields: f"{text.format_map(_Known(fields))}{caller(fields)}"


def _health(fields: Fields) -> str:
    """Of the sidecar's own checks; those of services are in the changes of the answers."""
    return f"the checks of this sidecar itself: {fields.get('before', '?')} -> {fields.get('health', '?')}"


def _registered(fields: Fields) -> str:
    sources = {"flags": " by a flag", "file": " by the services file", "socket": " again, as before the restart"}
    how = sources.get(str(fields.get("source")), "")
    count = fields.get("checks")
    checks = f", {count} check{'s' * (count != 1)}" if count else ""
    text = f"{fields['id']} registered{caller(fields) or how} at {fields.get('address')}"
    return f"{text}: {fields.get('health')}{checks}"


def _reason(text: str) -> Words:
    """The text, with the reason that a person or this sidecar gave."""

    def words(fields: Fields) -> str:
        reason = fields.get("reason")
        return f"{text.format_map(_Known(fields))}{f': {reason}' if reason else ''}{caller(fields)}"

    return words


def _event_dead(fields: Fields) -> str:
    attempts = fields.get("attempts")
    after = f" after {attempts} attempt{'s' * (attempts != 1)}" if attempts else ""
    how = " as its handler rejected it" if fields.get("result") == "rejected" else ""
    answer = own_status(str(fields.get("reason")))
    what = f"event {fields.get('index')} of group {fields.get('group')} set aside as a dead letter{how}{after}"
    return f"{what}{f': last answer {answer}' if answer else ''}; retry or drop it: `gossipreg events dead`"


def _saga_aborted(fields: Fields) -> str:
    answer = own_status(str(fields.get("reason")))
    return f"saga {fields.get('saga')} aborted{f': last answer {answer}' if answer else ''}"


def _options_read(fields: Fields) -> str:
    waiting = fields.get("restart_needed_for")
    applied = fields.get("applied")
    said = [f"in force now: {applied}"] if applied else []
    said += [f"only after a restart: {waiting}"] if waiting else []
    return f"options read again: {'; '.join(said) or 'nothing changed'}"


WORDS: dict[str, Words] = {
    # this sidecar
    "signal": _named("{signal} came"),
    "leaving": lambda fields: (
        f"leaving{caller(fields)}" + (f", to be back within {fields['hold_s']} s" if fields.get("hold_s") else "")
    ),
    "stopped": _named("sidecar stopped"), "not_finished": _as_said, "ended_at_once": _as_said,
    "bug": _named("a failure inside this sidecar, which goes on: {where}; its log has more"),
    "stalled": _as_said, "moved": _named("this sidecar's address is {address} now"),
    "generation_raised": _named("this sidecar's generation was raised: another process used its identity"),
    "duplicate_identity": _as_said, "refuted": _named("declared dead by {by}, and refuted that"),
    "synced": _named("synced: the registry is known"), "last_known": _as_said, "last_known_over": _as_said,
    "alone": _as_said, "alone_over": _named("isolated for too long: the services of others leave the answers"),
    "not_alone": _named("isolated no more: a member is heard again"), "out": _as_said,
    "returned": _named("back in the answers of others"), "table_full": _as_said, "table_full_over": _as_said,
    # the network
    "wrong_cluster": _as_said, "incompatible_version": _as_said, "not_our_key": _as_said, "key_needed": _as_said,
    "incompatible_version_over": _named("a member that spoke another version of the protocol speaks ours, or is gone"),
    "seed_silent": _as_said, "seed_unusable": _as_said, "understood": _as_said, "pair_lossy": _as_said,
    "pair_lossy_over": _as_said, "path_mtu": _as_said, "path_mtu_over": _as_said, "pull_failed": _as_said,
    "pull_failed_over": _as_said, "cannot_send": _as_said, "no_address": _as_said,
    "seed_unresolved": _named("the name of the seed {seed} does not resolve: {reason}"), "clients_crowded": _as_said,
    "cannot_accept": _as_said,
    # other members
    "member_alive": _named("{name} is alive"), "member_left": _reason("{name} left"),
    "member_restarting": _reason("{name} restarts"), "member_draining": _reason("{name} is in maintenance"),
    "member_hidden": _reason("{name} is out of the answers here"),
    "member_shown": _named("{name} is in the answers here again"),
    "member_suspect": lambda fields: (
        f"{fields.get('name')} is suspected here: "
        + ("its port is refused" if fields.get("reason") == "refused" else "no ack from it")
    ),
    "member_dead": _reason("{name} declared dead"),
    "force_leave": _with_caller("{name}, which was {state}, declared left"),
    # services registered here
    "service_registered": _registered, "service_updated": _with_caller("{id} registered again with other settings"),
    "service_deregistered": _with_caller("{id} left the answers: deregistered"),
    "service_detached": _named("{id} left the answers: the program that registered it has ended"),
    "service_expired": _named("{id} left the answers for good: its check was critical for too long"),
    "service_health": _health, "service_refuses": _named("{id} refuses connections, so it leaves the answers"),
    "service_not_announced": _named("{id} could not be announced: there is no room for it"),
    "service_not_followed": _named("{id} of the services file could not be registered: the log has the reason"),
    "service_not_restored": _named("{id} could not be registered again after the start: the log has the reason"),
    "subscription_refused": _named("the subscriptions of {id} were refused: the log has the reason"),
    "service_subscribed": _named("{id} takes events: {patterns}"),
    "maintenance": _reason("{message}"), "maintenance_over": lambda fields: f"{_as_said(fields)}{caller(fields)}",
    "check_registered": _named("the sidecar's own check {id} registered"),
    "check_deregistered": _named("the sidecar's own check {id} taken out"),
    "dapr_app_silent": _named("the Dapr app {service} does not answer"),
    "dapr_app_refuses": _named("the Dapr app {service} does not say what it subscribes to"),
    "dapr_app_subscribed": _named("the Dapr app {service} takes events: {topics}"),
    # what operators do
    "reload": _with_caller("keys, files and options are read again"), "options_read": _options_read,
    "services_read": _named("the services file was read again: {services} services, {added} added, {removed} removed"),
    "http_tokens_read": _named("the tokens of HTTP were read again: {tokens}"),
    "xds_policy_read": _named("the policy of xDS was read again"), "xds_tls_read": _named("the mesh has its keys anew"),
    # the disk and the clock
    "history_not_kept": _as_said, "history_kept_again": _as_said, "history_set_aside": _as_said,
    "clock_set": _as_said,
    "not_kept": _as_said, "kept_again": _as_said, "table_not_kept": _as_said, "kept_table_ignored": _as_said,
    "kept_table_too_old": _as_said, "data_set_aside": _as_said, "key_exposed": _as_said,
    # journals, events and sagas
    "journals_not_kept": _as_said, "journals_kept_again": _as_said, "journal_disk_hangs": _as_said,
    "journal_disk_answers": _as_said, "journals_set_aside": _as_said, "journals_lost": _as_said,
    "journals_retired": _as_said, "journal_replica_went_back": _as_said, "journal_unknown_kind": _as_said,
    "journal_record_missing": _as_said, "journals_leaderless": _as_said, "journals_leaderless_over": _as_said,
    "journal_not_dismissed": _as_said,
    "journal_replica_lost": _named("the copy of journal {journal} here is lost: {reason}"),
    "journal_recovered": _with_caller("journal {journal}: {message}"),
    "journal_led": _named("leads journal {journal} now"),
    "journal_not_led": _named("does not lead journal {journal} now"),
    "journals_not_handed_over": _as_said, "journal_ended": _named("journal {journal} ended"),
    "journal_copy_refused": _named("a member refused a copy of a journal"),
    "journal_copy_unneeded": _named("the copy of journal {journal} here held nothing and was removed"),
    "event_dead": _event_dead,
    "event_payload_missing": _as_said, "events_not_announced": _as_said, "groups_not_remembered": _as_said,
    "events_expired": _named("{dropped} events dropped for their age: their groups did not handle them"),
    "group_forgotten": _named("group {group} forgotten, with {dropped} events that it had not acknowledged"),
    "saga_stuck": _named("saga {saga} stuck at step {step}: a person should look: `gossipreg saga show {saga}`"),
    "saga_not_undone": _named("saga {saga} aborted, and what its step {step} did stays: it has no undo"),
    "saga_aborted": _saga_aborted, "saga_by_hand": _named("saga {saga}, step {step}: {decision} by hand"),
    "saga_decided_here": _with_caller("saga {saga}, step {step}: {decision} decided here"),
    "secret_missing": _as_said,
}  # fmt: skip
"""The words of each kind that is kept. `keys_read` and the failed reloads are in `from_log.py`."""

LEFT_OUT: dict[str, str] = {
    "start": "`from_log.py` tells it earlier, before what is restored",
    "open_files": "a figure of the start",
    "variable_ignored": "how this sidecar is configured: see `gossipreg config`",
    "no_hold": "as variable_ignored",
    "http_tokens": "as variable_ignored",
    "own_seed": "as variable_ignored",
    "service_kept": "a service stays as it was",
    "check_not_restored": "its text may hold a secret; the check is listed as missing in the log",
    "gateway": "what a gateway notes may be anything",
    "dapr_subscriptions_refused": "a program's text",
    "dapr_subscription_refused": "as dapr_subscriptions_refused",
    "spans_dropped": "about traces, which have a history of their own",
    "journal_full": "publishers are told, and `info` has it as a trouble",
}
"""Kinds that are no line of the history, and why."""
