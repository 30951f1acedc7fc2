"""Mutations of the core, of journals and of sagas: one small change each that breaks a rule, for
`scripts/check --mutations`.

`name` claims what the broken core does. `before` is one or more whole lines that stand exactly once in all files of
`gossipreg/core/`, `gossipreg/journal/` and `gossipreg/sagas/`, at whatever depth they are indented, so an entry
survives when code moves to another file. `after` takes their place; an empty one drops them. `likely` is a word in the
names of the test files that are run first.

If you rename or rewrite a line that stands here, change it here too: `tests/test_mutations.py` says which entry is
lost.
"""

from scripts.checks.journal_mutations import JOURNAL_MUTATIONS
from scripts.checks.mutation import Mutation
from scripts.checks.saga_mutations import SAGA_MUTATIONS

MUTATIONS = [
    # -- rows and the table --------------------------------------------------------------------------------------------
    Mutation(
        "delta_with_a_gap_before_it_is_applied",
        "return delta.generation == self.generation and delta.base <= self.counter and self.floor_fits(delta)",
        "return delta.generation == self.generation and self.floor_fits(delta)",
        likely="table",
    ),
    Mutation(
        "tombstones_below_the_floor_are_not_missed",
        "return self.head < 0 or delta.floor == self.floor or self.counter >= max(delta.floor, self.floor)",
        "return self.head < 0 or delta.floor == self.floor or self.counter >= self.floor",
        likely="content",
    ),
    Mutation(
        "snapshot_older_than_the_content_replaces_it",
        "if shadow.whole and (content is None or shadow.counter >= content.counter):",
        "if shadow.whole:",
        likely="table",
    ),
    Mutation(
        "digest_of_an_incomplete_row_is_in_the_fingerprint",
        "digest = content.digest if content.whole and not row.lags else 0",
        "digest = content.digest",
        likely="table",
    ),
    Mutation(
        "member_from_the_future_is_believed",
        "return -self.config.future_s * 1000 <= age_ms <= oldest_s * 1000",
        "return age_ms <= oldest_s * 1000",
        likely="table",
    ),
    Mutation(
        "row_of_a_newer_start_keeps_the_old_snapshot",
        """
        if said.generation > row.liveness.generation:
            row.shadow = None
        """,
        "",
        likely="table",
    ),
    Mutation(
        "death_of_a_lower_incarnation_counts",
        "return claim > held and not (left and claim.generation == held.generation)",
        """
        claimed = claim.generation, claim.rank, claim.incarnation
        known = held.generation, held.rank, held.incarnation
        return claimed > known and not (left and claim.generation == held.generation)
        """,
        likely="liveness",
    ),
    Mutation(
        "row_that_did_not_answer_before_answers_while_it_lags",
        "return self.content is not None and not self.silenced and self.lives",
        "return self.content is not None and self.lives",
        likely="liveness",
    ),
    # -- the answers ---------------------------------------------------------------------------------------------------
    Mutation(
        "one_reason_less_shows_a_member_hidden_for_two",
        "reasons.pop(why, None)",
        "reasons.clear()",
        likely="hidden_members",
    ),
    Mutation(
        "member_that_died_before_we_knew_it_makes_an_event",
        "gone_before_met = before is None and (row.dead or row.left)",
        "gone_before_met = False",
        likely="member_events",
    ),
    Mutation(
        "service_without_health_is_passing",
        """
        value = content.view(KIND_HEALTH, slot)
        if value is None:
            return Health.CRITICAL, ""
        """,
        """
        value = content.view(KIND_HEALTH, slot)
        if value is None:
            return Health.PASSING, ""
        """,
        likely="catalog",
    ),
    Mutation(
        "change_of_health_keeps_the_version_of_an_instance",
        "counter = max(content.changed_at(KIND_SERVICE, slot), content.changed_at(KIND_HEALTH, slot))",
        "counter = content.changed_at(KIND_SERVICE, slot)",
        likely="catalog",
    ),
    Mutation(
        "member_isolated_for_long_answers_as_before",
        "if not self._context.synced or self._isolation.given_up:",
        "if not self._context.synced:",
        likely="knowledge",
    ),
    Mutation(
        "answers_of_the_last_run_count_as_complete",
        "return self in (Knowledge.NOT_SYNCED, Knowledge.LAST_KNOWN)",
        "return self is Knowledge.NOT_SYNCED",
        likely="knowledge",
    ),
    Mutation(
        "follower_hears_of_removals_while_nothing_is_known",
        "changes = [one for one in changes if one.kind is not ChangeKind.REMOVED or one.instance.node == own]",
        "changes = list(changes)",
        likely="followers",
    ),
    # -- gossip --------------------------------------------------------------------------------------------------------
    Mutation(
        "third_retransmission_is_left_out",
        "if unacked.retransmissions + 1 < len(self._ack_timeouts):",
        "if unacked.retransmissions + 2 < len(self._ack_timeouts):",
        likely="dissemination",
    ),
    Mutation(
        "refutation_waits_for_room_in_the_budget",
        "if (claims if topic.claim else rows) or self._refutes(topic)",
        "if (claims if topic.claim else rows)",
        likely="refuting",
    ),
    Mutation(
        "pull_is_never_sent_to_another_member",
        "if pulling.tries >= 2:",
        "if pulling.tries > 99:",
        likely="pulls",
    ),
    Mutation(
        "page_that_moved_nothing_leads_to_the_next_pull",
        "elif have != pulling.have:",
        "else:",
        likely="pulls",
    ),
    Mutation(
        "buckets_that_have_not_settled_are_compared",
        "if ours == theirs or theirs == bytes(4) or not settled[at]:",
        "if ours == theirs or theirs == bytes(4):",
        likely="versions",
    ),
    Mutation(
        "member_that_is_ahead_does_not_say_so",
        """
        elif theirs < row.version:
            ahead.append(id)
        """,
        "",
        likely="versions",
    ),
    Mutation(
        "list_of_any_member_replaces_that_of_the_first",
        "replaces = self._first_is_silent or (peer == self._first and not self._first_restarted)",
        "replaces = True",
        likely="joining",
    ),
    Mutation(
        "list_of_a_member_that_is_not_synced_replaces_another",
        "if counts and listing.whole and replaces:",
        "if listing.whole and replaces:",
        likely="unsynced_lists",
    ),
    Mutation(
        "member_that_is_not_synced_stays_the_first",
        "if gone or self._first_restarted or self._first in self._unsynced:",
        "if gone or self._first_restarted:",
        likely="unsynced_lists",
    ),
    Mutation(
        "list_of_a_member_that_is_not_synced_counts",
        "return self._another_s > self._tuning.list_unsynced_max_s or self._unsynced_for_long",
        "return True",
        likely="unsynced_lists",
    ),
    Mutation(
        "death_of_an_older_start_settles_a_listed_row",
        "gone = (row.dead or row.left) and goal.generation <= row.liveness.generation",
        "gone = row.dead or row.left",
        likely="joining",
    ),
    Mutation(
        "older_version_of_our_row_counts_as_its_ack",
        "if self.goal is not None and version >= self.goal:",
        "if self.goal is not None:",
        likely="row_acks",
    ),
    Mutation(
        "generation_far_ahead_is_believed_from_anybody",
        "return started_ms(generation) - self.wall_at_0_ms - now * 1000 > _AHEAD_MS",
        "return started_ms(generation) - self.wall_at_0_ms - now * 1000 < 0",
        likely="insiders",
    ),
    # -- failure detection ---------------------------------------------------------------------------------------------
    Mutation(
        "probe_voided_by_a_stall_gives_a_round_trip",
        "if not probe.voided:",
        "if probe is not None:",
        likely="suspicion",
    ),
    Mutation(
        "local_health_never_recovers",
        "self._set_score(self._score - by)",
        "self._set_score(self._score)",
        likely="suspicion",
    ),
    Mutation(
        "one_report_is_enough_to_declare_dead",
        "if len(suspicion.reports) >= needed:",
        "if suspicion.reports:",
        likely="single_report",
    ),
    Mutation(
        "old_reports_are_enough_to_declare_dead",
        "if context.now - suspicion.round_at > self._tuning.stale_timeouts * self._channel.bound_s(id):",
        "if context.now - suspicion.round_at > 1_000 * self._tuning.stale_timeouts * self._channel.bound_s(id):",
        likely="suspicion",
    ),
    Mutation(
        "time_that_we_slept_counts_against_a_suspect",
        "suspicion.since += late_s",
        "",
        likely="sleeping",
    ),
    Mutation(
        "cluster_of_three_is_not_small",
        "self._small = members <= context.config.failure.small_members",
        "self._small = members < context.config.failure.small_members",
        likely="knowledge",
    ),
    Mutation(
        "answer_in_time_counts_as_missed",
        "self._acked_share += (in_time - self._acked_share) * self._tuning.health_weight",
        "self._acked_share += (0 - self._acked_share) * self._tuning.health_weight",
        likely="flap_damping",
    ),
    Mutation(
        "second_return_waits_like_the_third",
        "wait_s = waits_s[min(len(self._returns), len(waits_s) - 1)]",
        "wait_s = waits_s[min(len(self._returns) + (len(self._returns) == 1), len(waits_s) - 1)]",
        likely="flap_damping",
    ),
    Mutation(
        "isolated_member_declares_quarantined_rows_dead",
        """
        elif context.heard_at > since and self._channel.can_speak_with(id):
            gone = Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, context.id)
        """,
        """
        elif True:
            gone = Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, context.id)
        """,
        likely="quarantine",
    ),
    Mutation(
        "one_probe_is_enough_to_give_up_a_quarantined_row",
        "if tries < self._tuning.quarantine_tries:",
        "if tries < 1:",
        likely="quarantine",
    ),
    Mutation(
        "silent_helper_and_silent_member_lose_the_same_way",
        """return "to" if sign == "accused" or heard else "unknown\"""",
        """return "to\"""",
        likely="pairs",
    ),
    # -- ourselves -----------------------------------------------------------------------------------------------------
    Mutation(
        "new_service_takes_a_slot_in_use",
        "slot = self._free[0] if self._free else len(self._slots)",
        "slot = len(self._slots)",
        likely="own_services",
    ),
    Mutation(
        "raised_generation_may_be_lower",
        "raised = generation_above(generation, context.rng.getrandbits(RANDOM_BITS))",
        "raised = generation_above(generation - (1 << RANDOM_BITS), context.rng.getrandbits(RANDOM_BITS))",
        likely="identity_conflict",
    ),
    Mutation(
        "clock_alone_decides_between_two_that_started_together",
        "_TIE_MS = 200",
        "_TIE_MS = -1",
        likely="identity_conflict",
    ),
    Mutation(
        "one_ack_is_enough_to_depart_at_once",
        "if not queued and (not not_acked or (self._sent_again and one_acked)):",
        "if not queued and (not not_acked or one_acked):",
        likely="leaving",
    ),
    Mutation(
        "member_in_maintenance_holds_its_place",
        "holds = hold_s > 0 and self._own_row.member.status is not Status.DRAINING",
        "holds = hold_s > 0",
        likely="leaving",
    ),
    # -- sessions and datagrams ----------------------------------------------------------------------------------------
    Mutation(
        "older_start_of_a_member_is_bound",
        "if row is not None and hello.generation < row.liveness.generation:",
        "if row is not None and hello.generation < 0:",
        likely="handshake",
    ),
    Mutation(
        "dead_member_that_speaks_is_not_told_that_it_is_dead",
        "if row is not None and row.dead and row.liveness.generation == peer.generation:",
        "if row is not None and row.dead and row.liveness.generation > peer.generation:",
        likely="speaking_dead",
    ),
    Mutation(
        "challenge_ends_with_its_epoch",
        "or echo in (self._challenge(boot_id, source, epoch), self._challenge(boot_id, source, epoch - 1))",
        "or echo == self._challenge(boot_id, source, epoch)",
        likely="sessions",
    ),
    Mutation(
        "deltas_go_before_claims_when_the_budget_is_low",
        "shares |= {Class.DELTA: config.session.delta_reserve, Class.PAGE: config.session.page_reserve}",
        "shares |= {Class.CLAIM: config.session.delta_reserve, Class.DELTA: 0.0, Class.PAGE: 0.5}",
        likely="outbox",
    ),
    Mutation(
        "every_datagram_gets_the_whole_allowance",
        "self._allowance[to] = allowance - size",
        "self._allowance[to] = allowance",
        likely="outbox",
    ),
    Mutation(
        "variation_is_measured_from_the_new_mean",
        """
        self.variation_s += _VARIANCE_GAIN * (abs(self.smoothed_s - sample_s) - self.variation_s)
        self.smoothed_s += _GAIN * (sample_s - self.smoothed_s)
        """,
        """
        self.smoothed_s += _GAIN * (sample_s - self.smoothed_s)
        self.variation_s += _VARIANCE_GAIN * (abs(self.smoothed_s - sample_s) - self.variation_s)
        """,
        likely="round_trips",
    ),
    Mutation(
        "former_self_at_our_address_is_called_for_ever",
        "if own is not None and address in own.addresses:",
        "if own is None:",
        likely="reconnect",
    ),
    Mutation(
        "round_without_any_ack_counts_as_a_loss",
        "if path.small_acked:",
        "if path.probing:",
        likely="path_mtu",
    ),
    Mutation(
        "full_table_has_room_again_is_said_for_ever",
        """
        self._refused = None
        return True
        """,
        "return True",
        likely="table_limits",
    ),
    Mutation(
        "full_table_takes_no_account_of_gone_rows",
        "if self._refused is None or (self._would_be_full(*self._refused) and not some_gone):",
        "if self._refused is None or self._would_be_full(*self._refused):",
        likely="table_limits",
    ),
    *JOURNAL_MUTATIONS,
    *SAGA_MUTATIONS,
]
