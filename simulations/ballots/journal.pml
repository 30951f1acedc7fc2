/* The ballots of a journal, for the model checker spin: elections, replication, commitment, the replacement of a
 * voter.
 *
 * `scripts/check --ballots` runs the instances and the mutations of this file; simulations/README.md has the results.
 *
 * The rule. A journal is a Raft log (Ongaro and Ousterhout 2014) with ballots (round, replica id) instead of terms.
 *   - A voter stands only with its own ballots. To vote is to promise nothing lower, on the disk before the answer.
 *     A denial promises nothing. The candidate's log must be at least as new as the voter's: (ballot of the last
 *     entry, its index).
 *   - An append is taken if its ballot is at least the promise, and raises the promise in the write that takes it.
 *   - A leader counts entries of its own ballot only. Its first entry is its ballot; it answers only what is
 *     committed. A leader that restarts stands again, with a higher ballot. A replica whose disk is lost answers
 *     nothing any more.
 *   - A replacement changes one voter, with two entries (section 6 of the paper). From the moment the first one
 *     stands in a replica's log, votes and commitment there need majorities of the old and of the new set. When it
 *     is committed the leader appends the second one, `done`; from the moment that one stands in a replica's log,
 *     the new set alone counts there. A truncated entry is as if it had never been. A leader begins a replacement
 *     when an entry of its own ballot, and the `done` of the one before, are committed.
 *   - A leader sends only what is committed to a replica that is no voter by the leader's log: to a learner, to the
 *     one that `done` removes, to its own disk if that one is itself. A replica that is asked for a vote answers, even
 *     if it is no voter by its own log.
 *
 * What is modelled.
 *   - Replicas 0, 1, 2 vote at first; with REPLACE replica 3 is the spare. A ballot is a number from 1 to BALLOTS
 *     and belongs to the replica that stands with it first. Only the order of ballots and their owners matter, so
 *     every history with this many candidacies is covered, whatever its rounds and ids are.
 *   - An entry is its ballot, and its configuration: a leader makes one entry an index, so ballot and index name it.
 *   - `sent[b]` is all that the leader of ballot b has appended in memory. Each append message is a part of it.
 *     Messages are never removed: each arrives late, out of order, many times, or never. Several entries are several
 *     messages. A vote or an ack that is lost is one that leads to nothing.
 *   - A replica writes when it votes and when it takes an entry. A leader takes its own entries from `sent` like all
 *     others, so that they may be sent before its disk has them.
 *   - A crash takes away the role, and what is not written. All that a restarted replica can do it can do without
 *     the crash as well (a leader may stand again; nobody has to write, to count or to answer), so only mutations
 *     have a crash.
 *   - LOSSES disks are lost, with all that is on them.
 *
 * What is not modelled: time, ranks and pre-votes (any voter stands at any time), the cut of the log, what events and
 * sagas are, a disk that goes back in time (it counts as lost), how far a learner is (safety does not need it).
 *
 * What keeps it small and hides no violation. Each of these leaves out histories only for others in which every
 * replica may do at least as much, since a higher promise never allows anything:
 *   - a candidate with its majorities leads at once; a leader commits at once what its acks allow;
 *   - a candidacy begins with its first vote (`standing`); no message only raises a promise;
 *   - with REPLACE a follower learns of commitments only if a configuration is among them, and replica 0 leads at
 *     first;
 *   - messages, candidates and acks that can have no effect any more are erased;
 *   - replicas that nothing distinguishes yet act in the order of their numbers.
 * A leader whose log is full leads without an entry of its own, so that its log is compared.
 *
 * With STUCK it is checked in every state that nobody is stuck. Whichever replicas live, if they are majorities of
 * the set in force and of those that are being introduced, one of them can be elected by the living ones alone. If no
 * leader restarts, one of those is also leaderless (no living leader claims a ballot at or above its promise), or a
 * leader has majorities that have promised nothing higher. A leader withdraws its claim when it learns, from a vote
 * request or a denial, of a voter with a higher promise. It is assumed that a candidate takes a ballot above all that
 * it was told in denials. What differs in promises alone is in part left out, as said above.
 */

#ifndef BALLOTS
#define BALLOTS 3
#endif
#ifndef LENGTH
#define LENGTH 3
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifdef REPLACE
#define REPLICAS 4
#define FIRST 1 /* replica 0 leads ballot 1, and all hold its first entry and know that it is committed */
#else
#define REPLICAS 3
#define FIRST 0
#endif

/* an entry: bits 0 to 2 its ballot, bit 3 that a mutation made a second one, bits 4 to 6 its configuration */
#define BALLOT(entry) ((entry) & 7)
#define SECOND 8
#define CONFIGURATION(entry) ((entry) >> 4)
#define REPLACES(leaves) ((leaves + 1) << 4) /* the new set is all but the replica `leaves` */
#define LEAVES(entry) (CONFIGURATION(entry) - 1)
#define DONE 5
#define SPARE 3

#define LOST (BALLOTS + 1) /* as a promise: nothing is high enough */
#define ERASED 9 /* as an owner: nobody can use this ballot any more */

#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2

typedef Log { byte at[LENGTH + 1] }; /* from 1; 0 is no entry */
typedef Acks { byte to[REPLICAS] };

/* on the disk of each replica */
byte promised[REPLICAS];
Log disk[REPLICAS];
byte known[REPLICAS]; /* committed up to here, as far as it knows */
/* in its memory */
byte role[REPLICAS]; /* with the ballot that it has promised */
byte votes[REPLICAS]; /* for it: a set of replicas */
Acks acked[REPLICAS]; /* the leader's: how far each replica holds its log */
/* in the network */
byte owner[BALLOTS + 1]; /* 0: not used, else the replica + 1 */
Log sent[BALLOTS + 1];
byte told[BALLOTS + 1]; /* how far the leader of the ballot has said that entries are committed */
/* what the checks compare with */
Log chosen; /* what has been committed, and answered */
Log chosen_by; /* the lowest ballot that committed it */
byte losses;
byte standing; /* with this ballot somebody has just stood: the next step is a vote for it */
bool told_apart; /* replica 1 is to leave: 1 and 2 are no longer alike */

/* within one step */
byte h, i, j, k, m, n, p, q, set, living, leaves_old, leaves_new, configured, lowest;
bool ok;

inline clean() {
    h = 0; i = 0; j = 0; k = 0; m = 0; n = 0; p = 0; q = 0; set = 0; living = 0;
    leaves_old = 0; leaves_new = 0; configured = 0; lowest = 0; ok = false
}

/* ---- mutations of one condition; the others stand where they act ---- */

#ifdef COUNT_OLDER
#define COUNTED(entry, b) true
#else
#define COUNTED(entry, b) (BALLOT(entry) == b)
#endif
#ifdef NO_LOG_MATCHING
#define PREVIOUS_MATCHES(r, b, index) true
#else
#define PREVIOUS_MATCHES(r, b, index) (index == 1 || (disk[r].at[index - 1] != 0 && SAME(r, b, index - 1)))
#endif
#ifdef LEARN_UNMATCHED
#define LEARNS(r, b, index) (disk[r].at[index] != 0)
#else
#define LEARNS(r, b, index) (disk[r].at[index] != 0 && SAME(r, b, index))
#endif
#ifdef REUSE_BALLOT
#define MAY_STAND(r, b) (b > promised[r] && owner[b] == 0 || b == promised[r] && owner[b] == r + 1)
#else
#define MAY_STAND(r, b) (b > promised[r] && owner[b] == 0)
#endif

/* ---- sets, logs ---- */

#define WITHOUT(set, leaves) ((set) & ~(1 << (leaves)))
#ifdef COUNT_LEARNER
#define MAJORITY(set, leaves) ((set & (set - 1)) != 0)
#else
#define MAJORITY(set, leaves) ((WITHOUT(set, leaves) & (WITHOUT(set, leaves) - 1)) != 0) /* two of the three */
#endif
#define QUORUM(set) (MAJORITY(set, leaves_old) && MAJORITY(set, leaves_new))
#define VOTER(r) ((r) != leaves_old || (r) != leaves_new)
#define SAME(r, b, index) (BALLOT(disk[r].at[index]) == BALLOT(sent[b].at[index]))

/* replicas that nothing distinguishes yet act in the order of their numbers */
#ifdef REPLACE
#define TOUCHED(r) (promised[r] > 1 || disk[r].at[2] != 0)
#define IN_ORDER(r) ((r) != 2 || TOUCHED(2) || TOUCHED(1) || told_apart)
#else
#define IN_ORDER(r) ((r) == 0 || promised[r] > 0 || promised[(r) - 1] > 0)
#endif

inline length_of(log) { /* sets n */
    n = 0;
    do
    :: n < LENGTH && log.at[n + 1] != 0 -> n++
    :: else -> break
    od
}

inline view_of(log, knows) { /* sets leaves_old, leaves_new (alike: one set) and the index of the last configuration */
    leaves_old = SPARE; leaves_new = SPARE; configured = 0;
#ifdef REPLACE
    k = 1;
    do
    :: k <= LENGTH ->
        if
        :: CONFIGURATION(log.at[k]) == 0 -> skip
        :: CONFIGURATION(log.at[k]) == DONE -> leaves_old = leaves_new; configured = k
        :: else -> leaves_old = leaves_new; leaves_new = LEAVES(log.at[k]); configured = k
        fi;
        k++
    :: else -> break
    od;
#ifdef ONE_STEP
    leaves_old = leaves_new;
#endif
#ifdef OLD_ONLY
    leaves_new = leaves_old;
#endif
#ifdef ONE_ENTRY
    if
    :: knows >= configured -> leaves_old = leaves_new
    :: else -> skip
    fi
#endif
#endif
}

/* ---- promises and roles ---- */

inline step_down(r) {
    role[r] = FOLLOWER; votes[r] = 0;
    h = 0;
    do
    :: h < REPLICAS -> acked[r].to[h] = 0; h++
    :: else -> break
    od
}

inline promise(r, b) {
    if
    :: b > promised[r] ->
        step_down(r);
        promised[r] = b
    :: else -> skip
    fi
}

inline tidy() { /* erase messages of ballots below every promise, and candidates for whom nobody can vote any more */
    lowest = LOST;
    p = 0;
    do
    :: p < REPLICAS ->
        lowest = (promised[p] < lowest -> promised[p] : lowest);
        if
        :: role[p] == CANDIDATE ->
            ok = false;
            q = 0;
            do
            :: q < REPLICAS -> ok = ok || promised[q] < promised[p]; q++
            :: else -> break
            od;
            if
            :: ok -> skip
            :: else -> step_down(p)
            fi
        :: else -> skip
        fi;
        p++
    :: else -> break
    od;
    h = 1;
    do
    :: h < lowest && h <= BALLOTS ->
        k = 1;
        do
        :: k <= LENGTH -> sent[h].at[k] = 0; k++
        :: else -> break
        od;
        told[h] = 0; owner[h] = ERASED; h++
    :: else -> break
    od;
    h = 1;
    do /* no ballot below this one can be won any more */
    :: h <= LENGTH -> chosen_by.at[h] = (chosen_by.at[h] > 1 && chosen_by.at[h] <= lowest -> 1 : chosen_by.at[h]); h++
    :: else -> break
    od
}

/* ---- checks ---- */

inline equal_up_to(one, other, index) { /* log matching */
    k = index;
    do
    :: k > 0 -> assert(one.at[k] == other.at[k]); k--
    :: else -> break
    od
}

inline choose(b, index) { /* the leader of b commits, and answers, all entries up to this one */
    j = 1;
    do
    :: j <= index ->
        assert(chosen.at[j] == 0 || chosen.at[j] == sent[b].at[j]); /* state-machine safety */
        chosen.at[j] = sent[b].at[j];
        chosen_by.at[j] = (chosen_by.at[j] == 0 || b < chosen_by.at[j] -> b : chosen_by.at[j]);
        h = b + 1;
        do /* a fenced leader commits nothing: what is committed stands in the logs of all leaders of higher ballots */
        :: h <= BALLOTS -> assert(sent[h].at[1] == 0 || sent[h].at[j] == chosen.at[j]); h++
        :: else -> break
        od;
        j++
    :: else -> break
    od
}

inline is_complete(b) { /* leader completeness: its log has all that lower ballots have committed */
    j = 1;
    do
    :: j <= LENGTH ->
        assert(chosen.at[j] == 0 || chosen_by.at[j] > b || chosen.at[j] == sent[b].at[j]);
        j++
    :: else -> break
    od
}

/* ---- steps of a replica ---- */

inline as_new(log, s) { /* sets ok: this log is at least as new as that of s */
    length_of(log); i = n;
    length_of(disk[s]);
    ok = BALLOT(log.at[i]) > BALLOT(disk[s].at[n]) || (BALLOT(log.at[i]) == BALLOT(disk[s].at[n]) && i >= n);
#ifdef NO_UP_TO_DATE
    ok = true;
#endif
}

inline lead(r) { /* the candidate has its majorities */
    p = promised[r];
    assert(sent[p].at[1] == 0); /* one leader a ballot */
    role[r] = LEADER; votes[r] = 0;
    length_of(disk[r]);
    i = 1;
    do
    :: i <= n -> sent[p].at[i] = disk[r].at[i]; i++
    :: else -> break
    od;
    acked[r].to[r] = n;
    told[p] = known[r];
    if
    :: n < LENGTH -> sent[p].at[n + 1] = p
    :: else -> skip
    fi;
    is_complete(p);
#ifdef ACT_BEFORE_FIRST
    choose(p, n);
#endif
    skip
}

inline stand(r, b) {
    d_step {
        standing == 0 && MAY_STAND(r, b) && IN_ORDER(r) ->
        view_of(disk[r], known[r]);
        if
        :: VOTER(r) ->
            step_down(r);
            owner[b] = r + 1;
            promised[r] = b;
            role[r] = CANDIDATE;
            votes[r] = 1 << r;
            standing = b;
            tidy()
        :: else -> skip
        fi;
        clean()
    }
}

inline vote(r, s) { /* s votes for r, which reads the vote */
    d_step {
        (standing == 0 || standing == promised[r]) && r != s && role[r] == CANDIDATE && promised[r] > promised[s] &&
            IN_ORDER(s) ->
        as_new(disk[r], s);
        view_of(disk[r], known[r]);
        if
        :: ok && VOTER(s) ->
            promise(s, promised[r]);
            votes[r] = votes[r] | (1 << s);
            standing = 0;
            if
            :: QUORUM(votes[r]) -> lead(r)
            :: else -> skip
            fi;
            tidy()
        :: else -> skip
        fi;
        clean()
    }
}

inline append(r, entry) {
    length_of(sent[promised[r]]);
    sent[promised[r]].at[n + 1] = entry
}

#define CAN_APPEND(r) (standing == 0 && role[r] == LEADER && sent[promised[r]].at[LENGTH] == 0)

inline propose(r) {
    d_step {
        CAN_APPEND(r) -> append(r, promised[r]); clean()
    }
}

inline replace(r, leaves) {
    d_step {
        CAN_APPEND(r) && known[r] > 0 && (leaves != 2 || IN_ORDER(2)) ->
        view_of(sent[promised[r]], known[r]);
        ok = BALLOT(sent[promised[r]].at[known[r]]) == promised[r] && leaves_old == leaves_new &&
            configured <= known[r];
#ifdef TWO_AT_ONCE
        ok = true;
#endif
        if
        :: ok && leaves != leaves_new && promised[leaves_new] != LOST ->
            told_apart = told_apart || leaves == 1;
            append(r, promised[r] | REPLACES(leaves))
        :: else -> skip
        fi;
        clean()
    }
}

inline finish(r) {
    d_step {
        CAN_APPEND(r) ->
        view_of(sent[promised[r]], known[r]);
        if
        :: leaves_old != leaves_new && configured <= known[r] -> append(r, promised[r] | (DONE << 4))
        :: else -> skip
        fi;
        clean()
    }
}

inline commit(r) { /* as far as the acks allow */
    q = promised[r];
    m = known[r] + 1;
    do
    :: m <= LENGTH && sent[q].at[m] != 0 ->
        set = 0;
        p = 0;
        do
        :: p < REPLICAS -> set = (acked[r].to[p] >= m -> set | (1 << p) : set); p++
        :: else -> break
        od;
#ifdef COUNT_UNWRITTEN
        set = set | (1 << r);
#endif
        view_of(sent[q], known[r]);
        if
        :: QUORUM(set) && COUNTED(sent[q].at[m], q) -> choose(q, m); known[r] = m; told[q] = m
        :: else -> skip
        fi;
        m++
    :: else -> break
    od;
    p = 0;
    do /* an ack of what is committed is of no more use */
    :: p < REPLICAS -> acked[r].to[p] = (acked[r].to[p] <= known[r] -> 0 : acked[r].to[p]); p++
    :: else -> break
    od;
    view_of(sent[q], known[r]);
    if
    :: VOTER(r) || configured > known[r] -> skip
    :: else -> step_down(r) /* its replacement is complete */
    fi
}

inline write(r, b, index) {
    /* what is committed stays */
    assert(index > known[r] || sent[b].at[index] == chosen.at[index] && (index == known[r] || disk[r].at[index] == 0));
    i = index + 1;
    do
    :: i <= LENGTH -> disk[r].at[i] = 0; i++
    :: else -> break
    od;
    disk[r].at[index] = sent[b].at[index];
    p = 0;
    do
    :: p < REPLICAS ->
        if
        :: p != r && disk[p].at[index] != 0 && BALLOT(disk[p].at[index]) == BALLOT(disk[r].at[index]) ->
            equal_up_to(disk[p], disk[r], index)
        :: else -> skip
        fi;
        p++
    :: else -> break
    od
}

/* An ack of fewer entries than the replica holds, and one that is known, are of no use. */
#ifdef TRUNCATE_ALWAYS
#define NEWS(r, b, index) true
#define HELD(r, b, index) false
#else
#define NEWS(r, b, index) \
    (index == LENGTH || !SAME(r, b, index) || sent[b].at[index + 1] == 0 || !SAME(r, b, index + 1))
#define HELD(r, b, index) SAME(r, b, index)
#endif

inline is_sent(r, b, index) { /* sets ok: if r is no voter the leader sends it, and itself, only what is committed */
    ok = index <= told[b];
    leaves_old = SPARE; leaves_new = SPARE;
    k = 1;
    do /* it was a voter when the log of the leader ended with entry k */
    :: !ok && k <= LENGTH && sent[b].at[k] != 0 ->
        i = CONFIGURATION(sent[b].at[k]);
        leaves_old = (i == 0 -> leaves_old : leaves_new);
        leaves_new = (i == 0 || i == DONE -> leaves_new : i - 1);
        ok = ok || (k >= index && VOTER(r));
        k++
    :: else -> break
    od;
#ifdef SEND_EARLY
    ok = true;
#endif
    skip
}

#define ACK_IS_NEWS(p, r, b, index) \
    (p < REPLICAS && role[p] == LEADER && promised[p] == b && acked[p].to[r] < index && known[p] < index)

inline take(r, b, index) { /* r takes an entry of the leader of b, and the leader reads the ack */
    d_step {
        standing == 0 && b >= promised[r] && sent[b].at[index] != 0 && PREVIOUS_MATCHES(r, b, index) &&
            NEWS(r, b, index) && IN_ORDER(r) ->
        is_sent(r, b, index);
        p = owner[b] - 1;
        if
        :: ok && (!HELD(r, b, index) || ACK_IS_NEWS(p, r, b, index)) ->
            if
            :: HELD(r, b, index) -> skip
            :: else -> write(r, b, index)
            fi;
#ifndef FORGET_APPEND
            promise(r, b);
#endif
            p = owner[b] - 1;
            if
            :: ACK_IS_NEWS(p, r, b, index) ->
                acked[p].to[r] = index;
                n = p;
                commit(n)
            :: else -> skip
            fi;
            tidy()
        :: else -> skip
        fi;
        clean()
    }
}

#ifdef REPLACE
#define TELLING false /* only to know of a configuration changes what a replica may do */
#else
#define TELLING true
#endif

inline learn(r, b) { /* r learns from the leader of b how far entries are committed */
    d_step {
        standing == 0 && b >= promised[r] && known[r] < told[b] && LEARNS(r, b, known[r] + 1) ->
        p = known[r];
        ok = TELLING;
        do
        :: known[r] < told[b] && LEARNS(r, b, known[r] + 1) ->
            known[r]++;
            ok = ok || CONFIGURATION(disk[r].at[known[r]]) != 0;
            assert(disk[r].at[known[r]] == chosen.at[known[r]]) /* state-machine safety */
        :: else -> break
        od;
        if
        :: ok -> promise(r, b); tidy()
        :: else -> known[r] = p
        fi;
        clean()
    }
}

inline lose(r) {
    d_step {
        standing == 0 && losses < LOSSES && promised[r] != LOST && IN_ORDER(r) ->
        losses++;
        step_down(r);
        known[r] = 0;
        h = 1;
        do
        :: h <= LENGTH -> disk[r].at[h] = 0; h++
        :: else -> break
        od;
#ifdef VOTE_AFTER_LOSS
        promised[r] = 0;
#else
        promised[r] = LOST;
#endif
        tidy();
        clean()
    }
}

inline crash(r) { /* of mutations: see the head */
    d_step {
#ifdef FORGET_PROMISE
        promised[r] > 0 -> step_down(r); promised[r] = 0;
#endif
#ifdef RESUME_BALLOT
        role[r] == LEADER -> /* it goes on after its disk's last entry, and makes other entries than before */
        q = promised[r];
        step_down(r);
        role[r] = LEADER;
        length_of(disk[r]);
        acked[r].to[r] = n;
        i = n + 1;
        do
        :: i <= LENGTH -> sent[q].at[i] = (i == n + 1 -> q | SECOND : 0); i++
        :: else -> break
        od;
#endif
        clean()
    }
}

/* ---- nobody is stuck ---- */

inline never_stuck(r) { /* whichever replicas live */
    d_step {
        r == 0 ->
        living = 1;
        do
        :: living < (1 << REPLICAS) ->
            view_of(chosen, LENGTH);
            ok = QUORUM(living); /* of what is in force */
            p = 0;
            do
            :: ok && p < REPLICAS ->
                ok = ok && !(living & (1 << p) && promised[p] == LOST);
                m = 1;
                do /* and of what is being introduced */
                :: living & (1 << p) && m <= LENGTH ->
                    h = CONFIGURATION(disk[p].at[m]);
                    ok = ok && (h == 0 || h == DONE || disk[p].at[m] == chosen.at[m] || MAJORITY(living, h - 1));
                    h = (role[p] == LEADER -> CONFIGURATION(sent[promised[p]].at[m]) : 0);
                    ok = ok && (h == 0 || h == DONE || MAJORITY(living, h - 1));
                    m++
                :: else -> break
                od;
                p++
            :: else -> break
            od;
            if
            :: ok -> somebody_can_lead()
            :: else -> skip
            fi;
            living++
        :: else -> break
        od;
        clean()
    }
}

inline somebody_can_lead() {
    q = 0; /* bit 0: somebody can win; bit 1: and will stand, even if no leader has restarted, or leads */
    p = 0;
    do
    :: living & (1 << p) && p < REPLICAS ->
        can_win(p);
        if
        :: ok -> is_leaderless(p); q = q | (ok -> 3 : 1)
        :: else -> skip
        fi;
        if
        :: role[p] == LEADER ->
            followers(p);
            view_of(sent[promised[p]], known[p]);
            q = (QUORUM(set) -> q | 2 : q)
        :: else -> skip
        fi;
        p++
    :: !(living & (1 << p)) && p < REPLICAS -> p++
    :: else -> break
    od;
    assert(q & 1);
    assert(q & 2)
}

inline can_win(r) { /* sets ok: the votes of the living are enough */
    set = 0;
    m = 0;
    do
    :: m < REPLICAS ->
        as_new(disk[r], m);
#ifdef MUTE_LEARNER
        view_of(disk[m], known[m]);
        ok = ok && VOTER(m);
#endif
        set = (ok && living & (1 << m) -> set | (1 << m) : set);
        m++
    :: else -> break
    od;
    view_of(disk[r], known[r]);
    ok = VOTER(r) && QUORUM(set)
}

inline is_leaderless(r) { /* sets ok: no living leader claims a ballot at or above the promise of r */
    ok = true;
    m = 0;
    do
    :: ok && m < REPLICAS ->
        if
        :: living & (1 << m) && role[m] == LEADER && promised[m] >= promised[r] ->
            ok = false;
#ifndef SILENT_LEADER
            view_of(sent[promised[m]], known[m]);
            h = 0;
            do /* it keeps its claim until it learns of a voter with a higher promise */
            :: h < REPLICAS -> ok = ok || (living & (1 << h) && VOTER(h) && promised[h] > promised[m]); h++
            :: else -> break
            od;
#endif
            skip
        :: else -> skip
        fi;
        m++
    :: else -> break
    od
}

inline followers(r) { /* sets set: the living that take what r sends */
    set = 0;
    h = 0;
    do
    :: h < REPLICAS -> set = (living & (1 << h) && promised[h] <= promised[r] -> set | (1 << h) : set); h++
    :: else -> break
    od
}

/* ---- processes ---- */

#define EACH_INDEX(step, b) :: step(me, b, 1) :: step(me, b, 2) THIRD(step, b) FOURTH(step, b)
#if LENGTH > 2
#define THIRD(step, b) :: step(me, b, 3)
#else
#define THIRD(step, b)
#endif
#if LENGTH > 3
#define FOURTH(step, b) :: step(me, b, 4)
#else
#define FOURTH(step, b)
#endif

proctype Replica(byte me) {
end:
    do
    :: vote(0, me) :: vote(1, me) :: vote(2, me)
    :: propose(me)
#ifndef REPLACE
    :: stand(me, 1) EACH_INDEX(take, 1) :: learn(me, 1)
#else
    EACH_INDEX(take, 1) :: learn(me, 1)
    :: vote(3, me)
    :: replace(me, 0) :: replace(me, 1) :: replace(me, 2) :: replace(me, 3)
#ifndef ONE_ENTRY
    :: finish(me)
#endif
#endif
    :: stand(me, 2) EACH_INDEX(take, 2) :: learn(me, 2)
#if BALLOTS > 2
    :: stand(me, 3) EACH_INDEX(take, 3) :: learn(me, 3)
#endif
#if BALLOTS > 3
    :: stand(me, 4) EACH_INDEX(take, 4) :: learn(me, 4)
#endif
#if LOSSES > 0
    :: lose(me)
#endif
#if defined(FORGET_PROMISE) || defined(RESUME_BALLOT)
    :: crash(me)
#endif
#ifdef STUCK
    :: never_stuck(me)
#endif
    od
}

init {
    atomic {
#ifdef REPLACE
        h = 0;
        do
        :: h < REPLICAS -> promised[h] = 1; disk[h].at[1] = 1; known[h] = 1; h++
        :: else -> break
        od;
        owner[1] = 1; role[0] = LEADER; sent[1].at[1] = 1; told[1] = 1; chosen.at[1] = 1; chosen_by.at[1] = 1;
        run Replica(3);
#endif
        h = 0;
        do
        :: h < 3 -> run Replica(h); h++
        :: else -> break
        od;
        h = 0
    }
}
