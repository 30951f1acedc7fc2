"""The manual's page on limits has the values that the code has."""

import re
from pathlib import Path

import pytest

from gossipreg import model, socket_path
from gossipreg.client import pool, registry
from gossipreg.client.events import publisher, running, settings
from gossipreg.client.watching import conversation, known, link, state, watcher
from gossipreg.daemon import all_clients, client_calls, keys, params, places, services_file, start, traces
from gossipreg.daemon.checks import options, parse, schedule, spec
from gossipreg.daemon.deliveries import dapr_app, dapr_subscriptions, http_subscriber
from gossipreg.daemon.events import event_client, event_params, events_shown, own_answers
from gossipreg.daemon.history import (
    history,
    history_asked,
    history_disk,
    history_everywhere,
    history_follow,
    line_rates,
    recent_lines,
)
from gossipreg.daemon.journals import store as journal_store
from gossipreg.daemon.journals import waiting_messages
from gossipreg.daemon.sagas import command_sender, saga_programs, secrets_folder
from gossipreg.daemon.streams import accepting, node_streams
from gossipreg.events import (
    announced,
    cloud_event,
    entries,
    handled,
    handlings,
    patterns,
    publish_queue,
    publishing,
    questions,
    remembered_groups,
    subscriptions,
)
from gossipreg.events.tuning import EventsTuning
from gossipreg.gateway.dns import gateway as dns_gateway
from gossipreg.gateway.dns import ports, rates, responder
from gossipreg.gateway.dns import server as dns_server
from gossipreg.gateway.http import ask, connections, events, tokens
from gossipreg.gateway.http import filter as filters
from gossipreg.gateway.http.dapr import picking
from gossipreg.gateway.http.eureka import documents, recent
from gossipreg.gateway.http.ui import open_pages, page_tables
from gossipreg.gateway.xds.resources import names_asked, policy_file, shown_names
from gossipreg.gateway.xds.server import grpc_calls, grpc_connections, grpc_messages, http2_connection
from gossipreg.gateway.xds.streams import ads_stream, discovery_requests, nack_log, name_shares
from gossipreg.gateway.xds.streams import xds_streams as xds_streams
from gossipreg.history import disagreements, history_query
from gossipreg.journal.tuning import JournalTuning
from gossipreg.net import http_client, http_framing
from gossipreg.otlp import span_queue
from gossipreg.sagas import (
    saga_calls,
    saga_definition,
    saga_forwarding,
    saga_messages,
    saga_model,
    saga_templates,
    step_template,
    waiting_calls,
)
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.wire import rpc, values

PAGE = (Path(model.__file__).parent / "docs" / "limits.md").read_text()
ROWS = {
    cells[0].strip(): cells[1].strip()
    for line in PAGE.splitlines()
    if line.startswith("| ") and (cells := line.strip("|").split("|"))[0].strip() != "what"
}

EVENTS = EventsTuning()
SAGAS = SagaTuning()
DAY_S = 86_400

VALUES: dict[str, tuple[float, ...]] = {
    "connections of xDS": (grpc_connections.CONNECTIONS_MAX,),
    "streams of a connection": (http2_connection.STREAMS_MAX,),
    "a request of xDS": (grpc_messages.MESSAGE_MAX_BYTES,),
    "headers of a call": (http2_connection.HEADER_LIST_MAX_BYTES,),
    "parts of requests that are not whole, of all connections": (grpc_connections.HELD_MAX_BYTES,),
    "responses that are not read, of all connections": (grpc_connections.UNREAD_MAX_BYTES,),
    "responses that a client does not read": (grpc_connections.SEND_S,),
    "a request or a frame that is not whole": (grpc_connections.MESSAGE_S,),
    "beginning of a connection": (grpc_connections.OPENING_S,),
    "a connection without a stream": (grpc_connections.IDLE_S,),
    "streams of all clients": (xds_streams.STREAMS,),
    "names of a stream": (ads_stream.NAMES,),
    "names of all streams together": (name_shares.NAMES_OF_ALL,),
    "characters in these names": (name_shares.CHARACTERS_OF_ALL,),
    "length of a name of xDS": (discovery_requests.NAME_CHARACTERS,),
    "requests that answer no response": (ads_stream.REQUESTS, ads_stream.REQUESTS_A_SECOND),
    "the reason of a refusal that is kept": (discovery_requests.TEXT_KEPT,),
    "lines of the log about refusals": (nack_log.LINES, nack_log.WITHIN_S),
    "a client that sends nothing": (grpc_connections.PING_S, grpc_connections.PING_ANSWER_S),
    "the file of `--xds-policy`": (policy_file.FILE_MAX_BYTES,),
    "tags of a split": (policy_file.TAGS_MAX,),
    "routes by header of a service": (policy_file.ROUTES_MAX,),
    "a name that a client asks for": (names_asked.ASKED_MAX,),
    "labels of a name that may have a tag in it": (names_asked.LABELS_MAX,),
    "services that are gone and that Envoy still gets": (shown_names.GONE_MAX,),
    "wait of a first lookup (`timeout`)": (registry.TIMEOUT_S,),
    "age of a snapshot that nobody confirms (`max_stale`)": (registry.MAX_STALE_S,),
    "instances of members that a restarted sidecar has not met": (known.UNMET_S,),
    "disbelief of a sidecar that is another member than before": (state.STRANGER_S,),
    "silence of a sidecar that is asked for a sign of life": (conversation.ANSWER_S,),
    "wait between two attempts to connect": (link.RETRY.longest_s,),
    "wait of a fork for a callback that runs": (watcher.STOP_S,),
    "levels of a registration": (documents.DEPTH_MAX,),
    "values in a registration": (documents.ELEMENTS_MAX,),
    "changes kept for `apps/delta`": (recent.KEPT_S,),
    "questions over UDP of a client address": (rates.ANSWERS_A_SECOND,),
    "questions over UDP of all on loopback": (rates.LOOPBACK_ANSWERS_A_SECOND,),
    "questions over TCP of a client address": (rates.ANSWERS_A_SECOND,),
    "questions over TCP of all on loopback": (rates.LOOPBACK_TCP_ANSWERS_A_SECOND,),
    "DNS connections": (dns_server.CONNECTIONS_MAX,),
    "a question": (ports.QUERY_MAX_BYTES,),
    "an answer over UDP": (responder.OUR_UDP_BYTES,),
    "an answer over UDP on loopback": (responder.LOOPBACK_UDP_BYTES,),
    "`--dns-ttl`, `--dns-negative-ttl`": (dns_gateway.TTL_MAX_S,),
    "name, id, zone, name of a member": (model.MAX_NAME_BYTES,),
    "address": (model.MAX_NAME_BYTES,),
    "a tag": (model.MAX_TAG_BYTES,),
    "tags of a service": (params.MAX_TAGS,),
    "meta keys of a service": (params.MAX_META,),
    "a meta key": (params.MAX_META_KEY_BYTES,),
    "a meta value": (params.MAX_META_VALUE_BYTES,),
    "a service with all that belongs to it": (model.MAX_VALUE_BYTES,),
    "weight": (params.MAX_WEIGHT,),
    "checks of a service": (params.MAX_CHECKS,),
    "the text of a check": (parse.MAX_TEXT_BYTES,),
    "headers of a check": (options.MAX_HEADERS,),
    "output of a check that is kept": (spec.OUTPUT_MAX,),
    "note of a heartbeat": (params.MAX_NOTE_BYTES,),
    "interval of a check": (options.MIN_INTERVAL_S, options.MAX_INTERVAL_S),
    "passes or fails of a check": (options.MAX_IN_A_ROW,),
    "checks of a sidecar that connect at the same time": (schedule.CONNECTIONS_MAX,),
    "`cmd:` checks of a sidecar that run at the same time": (schedule.COMMANDS_MAX,),
    "reason of maintenance, as others see it": (values.MAX_REASON_BYTES,),
    "services of a sidecar": (model.MAX_SERVICES_A_ROW,),
    "what one sidecar tells of itself": (model.MAX_ROW_BYTES,),
    "members that a sidecar knows": (model.MAX_ROWS,),
    "the table of all": (model.MAX_TABLE_BYTES,),
    "labels of a sidecar": (start.MAX_LABELS,),
    "`leave --hold`": (params.MAX_HOLD_S,),
    "`drain --timeout`": (params.MAX_WAIT_S,),
    "services file": (services_file.MAX_BYTES,),
    "key file, token file": (keys.MAX_KEY_FILE_BYTES,),
    "tokens in a token file": (tokens.TOKENS_MAX,),
    "path of the local socket": (socket_path.MAX_PATH_BYTES,),
    "a request": (rpc.MAX_REQUEST_BYTES,),
    "nesting of a request's parameters": (rpc.MAX_DEPTH,),
    "watches of a connection": (rpc.MAX_WATCHES,),
    "watches of a user": (client_calls.MAX_WATCHES_A_USER,),
    "watches of all": (client_calls.MAX_WATCHES_IN_ALL,),
    "names of a `watch`": (rpc.MAX_WATCHES,),
    "ids of an `unmet`": (params.MAX_IDS,),
    "streams of a sidecar": (node_streams.STREAMS_MAX,),
    "connections to the gossip port in their handshake": (accepting.HALF_OPEN_MAX,),
    "messages of streams that have come in part": (node_streams.MAX_HELD_BYTES,),
    "messages of journals that wait for the database to open": (waiting_messages.MAX_WAITING_MESSAGES,),
    "writes of journals that wait for the disk": (journal_store.WAITING_MOST,),
    "copies of other members' journals": (),
    "the file of the history": (),
    "age of a line in the file": (),
    "lines in memory, without a data directory": (recent_lines.LINES_MAX,),
    "lines that wait for a disk that takes none": (history_disk.QUEUE_MAX,),
    "lines of one kind": (line_rates.KIND_BURST, line_rates.KIND_A_S * 60),
    "lines about one member or instance": (line_rates.SUBJECT_BURST, line_rates.SUBJECT_A_S * 60),
    "a line's message": (history.MESSAGE_MAX,),
    "lines of one answer": (history_query.LIMIT_MAX,),
    "times that a connection follows the history": (history_follow.FOLLOWS_MAX,),
    "lines of one answer of `history-everywhere`": (history_everywhere.LIMIT_MAX,),
    "calls of `history-everywhere` at the same time": (history_asked.EVERYWHERE_AT_ONCE,),
    "members asked at the same time by `history-everywhere`": (history_everywhere.AT_ONCE,),
    "time for all members to answer `history-everywhere`": (history_everywhere.ALL_S,),
    "lines of one member in an answer of `history-everywhere`": (history_everywhere.MOST_OF_MEMBER,),
    "deaths compared with what other members saw, times the members": (disagreements.COMPARED_MAX,),
    "questions of other members that a sidecar answers at the same time about itself": (own_answers.AT_ONCE_MAX,),
    "an event, all of it": (cloud_event.MAX_EVENT_BYTES,),
    "a type, a pattern": (patterns.MAX_TYPE_BYTES,),
    "id, source of an event": (cloud_event.MAX_ID_BYTES,),
    "subject of an event": (cloud_event.MAX_SUBJECT_BYTES,),
    "extensions of an event": (cloud_event.MAX_EXTENSIONS,),
    "an extension's value": (cloud_event.MAX_EXTENSION_BYTES,),
    "name of a group": (entries.MAX_GROUP_BYTES,),
    "patterns of a group, or of a subscription": (entries.MAX_GROUP_PATTERNS,),
    "groups of a journal": (entries.MAX_GROUPS,),
    "groups that a sidecar declares (`--group`)": (announced.MAX_DECLARED_GROUPS,),
    "pairs of group and pattern that a sidecar remembers after their programs have ended": (
        remembered_groups.MAX_REMEMBERED,
    ),
    "groups that a sidecar names in its row": (announced.MAX_ANNOUNCED_GROUPS,),
    "pairs of group and pattern that a sidecar subscribes to": (announced.MAX_SUBSCRIPTIONS,),
    "subscriptions of a sidecar": (subscriptions.MAX_LOCAL_SUBSCRIPTIONS,),
    "subscriptions of a connection": (event_client.MAX_SUBSCRIPTIONS,),
    "events that wait to be published, of a sidecar": (publishing.MAX_PUBLISHES,),
    "bytes of these events": (publishing.MAX_PUBLISHES_BYTES,),
    "events that wait for an entry of a journal": (publish_queue.MAX_WAITING,),
    "bytes of these events in a journal": (publish_queue.MAX_WAITING_BYTES,),
    "a journal": (JournalTuning().journal_bytes,),
    "ids of events that a journal remembers": (EVENTS.dedup_ids,),
    "how long these ids are remembered": (EVENTS.dedup_s,),
    "events and dead letters are kept": (EVENTS.max_age_s / DAY_S,),
    "a group without an instance": (EVENTS.group_ttl_s / DAY_S,),
    "`timeout` of a publish": (event_params.MAX_TIMEOUT_S,),
    "`keep` of a publish": (event_params.MAX_KEEP_S / DAY_S,),
    "window of a subscription": (event_params.MAX_WINDOW,),
    "deliveries of a journal that are unanswered": (EVENTS.deliveries_in_flight,),
    "events that are handled at a sidecar": (handlings.MAX_HANDLED_BYTES,),
    "attempts, deaths of a handler": (EVENTS.max_attempts, EVENTS.max_deaths),
    "how long a handler may be renewed": (EVENTS.max_handling_s,),
    "deliveries in an `ack`": (event_params.MAX_DELIVERIES,),
    "`after` of a `retry`": (event_params.MAX_AFTER_S / DAY_S,),
    "dead letters in an answer or a decision": (questions.MAX_LETTERS,),
    "handled events that `trace` finds, of a sidecar": (handled.HANDLED_MOST,),
    "groups that `info` and `/metrics` show": (events_shown.GROUPS_SHOWN,),
    "patterns of `--subscribe` of a service": (entries.MAX_GROUP_PATTERNS,),
    "path of `--subscribe`": (params.MAX_PATH_BYTES,),
    "topics of a Dapr app": (dapr_subscriptions.SUBSCRIPTIONS_MAX,),
    "path of a topic of a Dapr app": (dapr_subscriptions.PATH_MAX,),
    "answer of a Dapr app to `/dapr/subscribe`": (dapr_app.ANSWER_MAX_BYTES,),
    "answer to a delivery": (http_subscriber.ANSWER_MAX_BYTES,),
    "time of a delivery over HTTP": (EVENTS.ack_timeout_s,),
    "spans that wait for the collector": (span_queue.QUEUE_MAX,),
    "spans of one request to the collector": (span_queue.BATCH_MAX,),
    "how long a batch is sent again": (span_queue.AGAIN_S,),
    "the last spans of a sidecar that ends": (traces.LAST_SPANS_S,),
    "requests of deliveries at the same time": (http_client.REQUESTS_MAX,),
    "Dapr's invocations at the same time": (picking.CALLS_MAX,),
    "time of an invocation": (picking.CALL_S,),
    "response of an invocation": (picking.ANSWER_MAX_BYTES,),
    "id of a saga": (saga_model.MAX_SAGA_BYTES,),
    "name of a saga": (saga_model.MAX_NAME_BYTES,),
    "name of a step": (saga_model.MAX_STEP_BYTES,),
    "steps of a saga": (saga_model.MAX_STEPS,),
    "input of a saga": (saga_model.MAX_INPUT_BYTES,),
    "definition of a saga": (saga_model.MAX_DEFINITION_BYTES,),
    "body of a command": (saga_model.MAX_BODY_BYTES,),
    "headers of a command": (saga_model.MAX_HEADERS,),
    "a header, name and value": (saga_model.MAX_HEADER_BYTES,),
    "path of a command": (saga_model.MAX_PATH_BYTES,),
    "a step, with its undo": (saga_model.MAX_INTENT_BYTES,),
    "nesting of an input, or of the JSON of a command": (saga_templates.MAX_JSON_DEPTH,),
    "file of `saga run`": (saga_definition.MAX_FILE_BYTES,),
    "timeout of a saga": (saga_definition.MAX_SAGA_MS // 1000,),
    "timeout of a step, of one attempt": (step_template.MAX_TIMEOUT_MS // 1000, step_template.MAX_ATTEMPT_MS // 1000),
    "answer of a participant": (saga_model.MAX_RESULT_BYTES,),
    "a secret": (secrets_folder.MAX_SECRET_BYTES,),
    "open sagas of a journal": (saga_model.MAX_OPEN_SAGAS,),
    "bytes of these sagas": (saga_model.MAX_OPEN_BYTES,),
    "sagas that have ended, in a journal": (saga_model.MAX_ENDED_SAGAS,),
    "how long they are remembered": (SAGAS.kept_s / DAY_S,),
    "commands of a journal at the same time": (SAGAS.commands_at_once,),
    "commands of a sidecar at the same time": (command_sender.COMMANDS_MAX,),
    "calls about sagas of a sidecar that wait": (saga_forwarding.MAX_CALLS,),
    "bytes of these calls": (saga_forwarding.MAX_CALLS_BYTES,),
    "calls that wait at the leader of a journal": (waiting_calls.MAX_WAITING_CALLS,),
    "bytes of what they ask for": (waiting_calls.MAX_WAITING_CALLS_BYTES,),
    "sagas of a connection": (saga_programs.MAX_SAGAS_A_CONNECTION,),
    "sagas whose programs are at a sidecar": (saga_programs.MAX_PROGRAMS,),
    "sagas of a `saga-list`": (saga_calls.MAX_LISTED, saga_messages.MAX_SAGA_REPLY_BYTES),
    "a lost program may come back": (SAGAS.lost_s,),
    "requests that are not whole, of all clients": (all_clients.MAX_HELD_BYTES,),
    "connections of a process": (places.MAX_CLIENTS_A_PROCESS,),
    "connections of a user": (places.MOST.of_user,),
    "connections of all": (places.MOST.all,),
    "data that waits for a client that does not read": (rpc.MAX_QUEUE_BYTES,),
    "messages that are being written, of all clients": (all_clients.MAX_WRITING_BYTES,),
    "data that waits for all clients": (all_clients.MAX_QUEUED_BYTES,),
    "a page of `services` or `members`, `limit` of `lookup`": (params.PAGE_MAX,),
    "calls of one Python `Client` at the same time": (pool.OPEN_MAX,),
    "publishes of one Python registry at the same time, of its threads, and as many of its loops": (
        publisher.PUBLISHES_AT_ONCE,
    ),
    "events that one subscription of a program has at most (`window`)": (settings.WINDOW,),
    "time of handlers at the end of a program, or of `close`": (running.EXIT_S,),
    "head of a request": (http_framing.HEAD_MAX_BYTES,),
    "body of a request": (http_framing.BODY_MAX_BYTES,),
    "a filter": (filters.TEXT_MAX,),
    "`wait` of a blocking query": (ask.WAIT_MAX_S,),
    "connections": (connections.CONNECTIONS_MAX,),
    "streams of `/events`": (events.STREAMS_MAX,),
    "streams of pages": (open_pages.PAGES_MAX,),
    "rows of a table of `/ui/tables`": (page_tables.ROWS_MAX,),
    "a reader of a stream that takes nothing": (connections.SEND_S,),
}


def test_every_limit_of_the_page_is_compared() -> None:
    assert sorted(ROWS) == sorted(VALUES)


@pytest.mark.parametrize("what", VALUES)
def test_a_limit_of_the_page_is_that_of_the_code(what: str) -> None:
    assert [float(number) for number in re.findall(r"\d+(?:\.\d+)?", ROWS[what])] == list(VALUES[what])


def test_limits_of_token_files_and_kept_places_hold() -> None:
    assert tokens.FILE_MAX_BYTES == keys.MAX_KEY_FILE_BYTES
    assert f"{places.MOST.kept} places are kept" in PAGE


def test_the_budget_of_xds_is_as_the_page_says() -> None:
    rate = f"{grpc_calls.BUDGET:.0f} frames at once and {grpc_calls.BUDGET_A_SECOND:.0f} a second"
    counts = (
        f"counts as {http2_connection.COST_FRAME + http2_connection.COST_LIBRARY}, and {grpc_calls.EARNED:.0f} more"
    )
    assert rate in PAGE
    assert counts in PAGE.replace("\n", " ")
