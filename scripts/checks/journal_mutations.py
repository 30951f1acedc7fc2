"""The mutations of journals: see `mutations_table.py`, which has those of the core."""

from scripts.checks.mutation import Mutation

JOURNAL_MUTATIONS = [
    Mutation(
        "entry_of_an_older_ballot_is_committed_by_counting",
        "if index <= data.committed or position is None or position.ballot != self.ballot:",
        "if index <= data.committed or position is None:",
        likely="histories",
    ),
    Mutation(
        "candidate_with_an_older_log_gets_a_vote",
        "return request.ballot >= data.promised and request.position >= data.log.last",
        "return request.ballot >= data.promised",
        likely="histories",
    ),
    Mutation(
        "state_takes_the_place_of_entries_that_were_acked",
        "if install.base.index <= data.committed or data.log.matches(install.base):",
        "if install.base.index <= data.committed:",
        likely="state_over",
    ),
    Mutation(
        "promise_of_a_voter_is_not_written",
        """
        self.promised = ballot
        self.disk.promise(ballot)
        """,
        "self.promised = ballot",
        likely="histories",
    ),
    Mutation(
        "learner_gets_entries_that_are_not_committed",
        "return data.log.last.index if votes else data.committed",
        "return data.log.last.index",
        likely="elections",
    ),
    Mutation(
        "port_refused_to_a_voter_shortens_no_wait",
        "if seen.standing is ProcessStanding.SILENT and refused == seen.boot_id:",
        "if seen.standing is ProcessStanding.SILENT and refused is None:",
        likely="elections",
    ),
    Mutation(
        "only_the_new_voters_are_counted_as_copies",
        "voters = min(len(voters) for voters in (configuration.voters, configuration.before) if voters)",
        "voters = max(len(voters) for voters in (configuration.voters, configuration.before) if voters)",
        likely="copies",
    ),
    Mutation(
        "journal_that_holds_something_is_ended",
        "return leading.may_change and not leading.acting and leading.is_empty",
        "return leading.may_change and not leading.acting and leading.idle",
        likely="ending_storms",
    ),
    Mutation(
        "end_of_a_journal_is_not_told_to_who_lags",
        "if not follower.current or not follower.knows_commit:",
        "if follower.lost:",
        likely="orphans",
    ),
    Mutation(
        "full_journal_cannot_be_emptied",
        "if used + size > (most if ends else most - most // ENDING_SHARE):",
        "if used + size > most - most // ENDING_SHARE:",
        likely="room",
    ),
    Mutation(
        "turn_of_a_replica_outlives_its_stream",
        """
        self.mode, self._in_flight, self._installing, self._reading = Mode.UNREACHABLE, 0, None, False
        self._end_replay()
        """,
        "self.mode, self._in_flight, self._installing, self._reading = Mode.UNREACHABLE, 0, None, False",
        likely="replays",
    ),
    Mutation(
        "journal_that_can_be_led_is_recovered",
        "if data.configuration.has_majority({place.replica for place in living}):",
        "if len(living) == len(data.configuration.all_voters):",
        likely="recovery",
    ),
    Mutation(
        "one_of_a_bare_majority_leaves_at_once",
        "return data.votes and bool(others) and not data.configuration.has_majority(living)",
        "return data.votes and bool(others) and not living",
        likely="departures",
    ),
]
