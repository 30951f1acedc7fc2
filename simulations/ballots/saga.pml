/* Decision and undo of a saga, for the model checker spin: two leaders, attempts in flight, a participant.
 *
 * `scripts/check --ballots` runs the instances and the mutations of this file; simulations/README.md has the results.
 *
 * The rule.
 *   - A saga is a record in a journal. A step is intended by an entry; its command is sent only when that entry is
 *     committed. Commit or abort is one entry: the first that is committed holds. Commit holds only where each intended
 *     step is done. After the decision no result changes anything, and no attempt begins.
 *   - Each attempt needs proof of leadership after it became due: its intent's commitment, or for a repeat a question
 *     to a majority.
 *   - A step is refused only if the first attempt ever sent was answered with a no; attempts of earlier leaders count
 *     as sent. Any other no, and no answer, is repeated.
 *   - Undo begins once the abort is committed. Each step that was intended, and not refused, is undone.
 *   - A participant does the same key once, and gives the first answer again (rule 1; while the first is under way it
 *     answers no); says yes to an undo of what it never saw (2); and refuses the do of a key for ever after its undo
 *     (3). "For ever" is as long as what was sent may still arrive: then it forgets the key.
 *
 * What is modelled.
 *   - The journal is what `journal.pml` shows that it is: one sequence of entries. Leader 0 leads first; at some point
 *     leader 1 does. Leader 0 is fenced then: it commits nothing, gets no proof, never learns of it, and acts on what
 *     it knew. The entry that it had proposed is committed by leader 1, or gone. A leader proposes one entry at a time.
 *   - Each message takes any time. A leader waits for the answer, or gives up at any moment (its timeout); what was sent
 *     may arrive later all the same. A participant answers at once, or begins, and is done at some later moment; it may
 *     crash in between, which is an answer that is never read.
 *   - The program wants anything: it intends up to STEPS steps, in order or side by side, commits or aborts.
 *
 * What is not modelled: time, batches of entries, undo that needs a result, people, what comes after the commit,
 * whether it ends. MESSAGES bounds how many are in flight at one time.
 *
 * What must hold, in every state: a committed saga's steps are all in effect at the participant (so none was undone, and
 * none will be); of an aborted saga whose undo is done nothing is in effect, ever after.
 */

#ifndef STEPS
#define STEPS 2
#endif
#ifndef MESSAGES
#define MESSAGES 3
#endif

/* decisions */
#define COMMITTED 1
#define ABORTED 2

/* results of a step */
#define DONE 1
#define REFUSED 2

/* entries */
#define INTEND 1
#define NOTE_DONE 2
#define NOTE_REFUSED 3
#define COMMIT 4
#define ABORT 5
#define NOTE_UNDONE 6

/* a key at the participant */
#define UNKNOWN 0
#define HELD 1
#define DECLINED 2 /* it said no for good: nothing happened */
#define BLOCKED 3 /* undone: never again */

/* where a message is */
#define FREE 0
#define ON_ITS_WAY 1
#define BEGUN 2 /* the participant works on it */
#define YES 3 /* the answer is on its way back */
#define NO 4

typedef Saga { byte decision; bool intent[STEPS]; byte result[STEPS]; bool undone[STEPS] };
typedef Work { bool proof[STEPS]; bool sent[STEPS]; byte got[STEPS]; bool gone[STEPS] };
typedef Message { byte at; byte by; byte step; bool undoes; bool first; bool waited };

byte leads;
Saga saga[2]; /* as each leader knows it: for the one that leads, all that is committed */
byte entry[2]; /* that each has proposed, and that is not committed */
byte about[2]; /* the step of that entry */
Work work[2]; /* a proof not used yet; sent: by it, or maybe before it; an outcome, and an undo's, not in the journal yet */
byte key[STEPS];
Message message[MESSAGES];

/* within one step */
byte h, i, j, k;
bool ok;

inline clean() { h = 0; i = 0; j = 0; k = 0; ok = false }

/* ---- mutations of one condition ---- */

#ifdef REPEAT_UNPROVEN
#define PROVEN(l, s) (work[l].proof[s] || work[l].sent[s])
#else
#define PROVEN(l, s) work[l].proof[s]
#endif
#ifdef UNDO_EARLY
#define MAY_UNDO(l) (saga[l].decision == ABORTED || entry[l] == ABORT)
#else
#define MAY_UNDO(l) (saga[l].decision == ABORTED)
#endif
#ifdef ANY_NO_REFUSES
#define REFUSES(i) true
#else
#define REFUSES(i) message[i].first
#endif
#ifdef LATE_ATTEMPT
#define UNDECIDED(l) (saga[l].decision != COMMITTED)
#else
#define UNDECIDED(l) (saga[l].decision == 0)
#endif

/* ---- checks ---- */

#define OPEN(l, s) (saga[l].intent[s] && saga[l].result[s] != REFUSED && !saga[l].undone[s])

inline check() {
    ok = saga[leads].decision == ABORTED;
    k = 0;
    do
    :: k < STEPS ->
        ok = ok && !OPEN(leads, k);
        /* what is committed is in effect */
        assert(saga[leads].decision != COMMITTED || !saga[leads].intent[k] || key[k] == HELD);
        k++
    :: else -> break
    od;
    k = 0;
    do
    :: k < STEPS ->
        assert(!ok || key[k] != HELD); /* once undo is done nothing is in effect */
        k++
    :: else -> break
    od;
    clean()
}

/* ---- the journal ---- */

inline all_done(l) { /* sets ok */
    ok = saga[l].intent[0];
    k = 0;
    do
    :: k < STEPS ->
        ok = ok && (!saga[l].intent[k] || saga[l].result[k] == DONE);
        k++
    :: else -> break
    od;
#ifdef COMMIT_OPEN
    ok = saga[l].intent[0];
#endif
    skip
}

inline apply(l, what, s) { /* an entry that makes no sense changes nothing */
    all_done(l);
    if
    :: what == INTEND && saga[l].decision == 0 -> saga[l].intent[s] = true
    :: what == NOTE_DONE && saga[l].decision == 0 && saga[l].result[s] == 0 -> saga[l].result[s] = DONE
    :: what == NOTE_REFUSED && saga[l].decision == 0 && saga[l].result[s] == 0 -> saga[l].result[s] = REFUSED
    :: what == COMMIT && saga[l].decision == 0 && ok -> saga[l].decision = COMMITTED
    :: what == ABORT && saga[l].decision == 0 -> saga[l].decision = ABORTED
    :: what == NOTE_UNDONE && saga[l].decision == ABORTED -> saga[l].undone[s] = true
    :: else -> skip
    fi
}

inline forget_outcomes(l) { /* what is in the journal, or can change nothing any more */
    k = 0;
    do
    :: k < STEPS ->
        if
        :: saga[l].decision != 0 || saga[l].result[k] != 0 -> work[l].got[k] = 0
        :: else -> skip
        fi;
        if
        :: saga[l].undone[k] -> work[l].gone[k] = false
        :: else -> skip
        fi;
        k++
    :: else -> break
    od
}

inline committed(l) {
    d_step {
        leads == l && entry[l] != 0 ->
        i = entry[l]; j = about[l];
        entry[l] = 0; about[l] = 0;
        apply(l, i, j);
        if
        :: i == INTEND && saga[l].decision == 0 -> work[l].proof[j] = true
        :: else -> skip
        fi;
        forget_outcomes(l);
        check()
    }
}

inline take_over() { /* leader 1 acts when its first entry is committed, and all before it */
    leads = 1;
    entry[0] = 0; about[0] = 0;
    h = 0;
    do
    :: h < STEPS ->
        saga[1].intent[h] = saga[0].intent[h];
        saga[1].result[h] = saga[0].result[h];
        saga[1].undone[h] = saga[0].undone[h];
        h++
    :: else -> break
    od;
    saga[1].decision = saga[0].decision
}

inline know_sent() { /* what may have been sent before */
#ifndef FORGET_EARLIER
    h = 0;
    do
    :: h < STEPS -> work[1].sent[h] = saga[1].intent[h]; h++
    :: else -> break
    od;
#endif
    skip
}

inline replaced_without() {
    d_step { leads == 0 -> take_over(); know_sent(); check() }
}

inline replaced_with() { /* ... and has the entry that the other one proposed */
    d_step {
        leads == 0 && entry[0] != 0 ->
        i = entry[0]; j = about[0];
        take_over();
        apply(1, i, j);
        know_sent();
        check()
    }
}

/* ---- what a leader proposes ---- */

#define MAY_PROPOSE(l) (leads == l && entry[l] == 0)

inline intend(l, s) {
    d_step {
        MAY_PROPOSE(l) && saga[l].decision == 0 && !saga[l].intent[s] && (s == 0 || saga[l].intent[s - 1]) ->
        entry[l] = INTEND; about[l] = s
    }
}

inline note(l, s) {
    d_step {
        MAY_PROPOSE(l) && work[l].got[s] != 0 ->
        entry[l] = (work[l].got[s] == DONE -> NOTE_DONE : NOTE_REFUSED); about[l] = s
    }
}

inline commit(l) {
    d_step {
        MAY_PROPOSE(l) && saga[l].decision == 0 ->
        all_done(l);
        entry[l] = (ok -> COMMIT : 0);
        clean()
    }
}

inline abort(l) {
    d_step { MAY_PROPOSE(l) && saga[l].decision == 0 -> entry[l] = ABORT }
}

inline note_undone(l, s) {
    d_step { MAY_PROPOSE(l) && work[l].gone[s] -> entry[l] = NOTE_UNDONE; about[l] = s }
}

/* ---- commands ---- */

inline find(l, s) { /* sets i: a free place; ok: there is one, and no answer about this step is waited for here */
    ok = true;
    i = MESSAGES;
    k = 0;
    do
    :: k < MESSAGES ->
        ok = ok && !(message[k].waited && message[k].by == l && message[k].step == s);
        i = (message[k].at == FREE && i == MESSAGES -> k : i);
        k++
    :: else -> break
    od;
    ok = ok && i < MESSAGES
}

inline put(l, s, is_undo, is_first) {
    message[i].at = ON_ITS_WAY; message[i].by = l; message[i].step = s;
    message[i].undoes = is_undo; message[i].first = is_first; message[i].waited = true
}

inline free(n) {
    message[n].at = FREE; message[n].by = 0; message[n].step = 0;
    message[n].undoes = false; message[n].first = false; message[n].waited = false
}

#define WANTS(l, s) (UNDECIDED(l) && saga[l].intent[s] && saga[l].result[s] == 0 && work[l].got[s] == 0)

inline prove(l, s) { /* a majority says, after the attempt became due, that it still leads */
    d_step {
        leads == l && WANTS(l, s) && !work[l].proof[s] ->
        find(l, s);
        work[l].proof[s] = ok;
        clean()
    }
}

inline send(l, s) {
    d_step {
        WANTS(l, s) && PROVEN(l, s) ->
        find(l, s);
        if
        :: ok ->
            ok = !work[l].sent[s];
            put(l, s, false, ok);
            work[l].proof[s] = false;
            work[l].sent[s] = true
        :: else -> skip
        fi;
        clean()
    }
}

inline undo(l, s) {
    d_step {
        MAY_UNDO(l) && OPEN(l, s) && !work[l].gone[s] ->
        find(l, s);
        if
        :: ok -> put(l, s, true, false)
        :: else -> skip
        fi;
        clean()
    }
}

inline hear(l, n) {
    d_step {
        message[n].waited && message[n].by == l && message[n].at >= YES ->
        j = message[n].step;
        if
        :: message[n].undoes -> work[l].gone[j] = message[n].at == YES
        :: !message[n].undoes && message[n].at == YES -> work[l].got[j] = DONE
        :: !message[n].undoes && message[n].at == NO && REFUSES(n) -> work[l].got[j] = REFUSED
        :: else -> skip
        fi;
        forget_outcomes(l);
        free(n);
        clean()
    }
}

inline give_up(l, n) { /* its timeout; the answer, if there is one, is lost */
    d_step {
        message[n].waited && message[n].by == l ->
        message[n].waited = false;
        if
        :: message[n].at >= YES -> free(n)
        :: else -> skip
        fi
    }
}

/* ---- the participant ---- */

inline answer(n, what) {
    if
    :: message[n].waited -> message[n].at = what
    :: else -> free(n)
    fi
}

inline is_begun(s) { /* sets ok */
    ok = false;
    k = 0;
    do
    :: k < MESSAGES -> ok = ok || (message[k].at == BEGUN && message[k].step == s); k++
    :: else -> break
    od
}

inline arrive(n) { /* it answers at once, or begins */
    d_step {
        message[n].at == ON_ITS_WAY ->
        j = message[n].step;
        is_begun(j);
        if
        :: message[n].undoes ->
#ifdef NO_RULE_3
            key[j] = UNKNOWN;
#else
            key[j] = BLOCKED;
#endif
            answer(n, YES)
        :: !message[n].undoes && key[j] == HELD -> answer(n, YES)
        :: !message[n].undoes && (key[j] == DECLINED || key[j] == BLOCKED || (key[j] == UNKNOWN && ok)) -> answer(n, NO)
        :: !message[n].undoes && key[j] == UNKNOWN && !ok -> message[n].at = BEGUN
        fi;
        check()
    }
}

inline decline(n) {
    d_step {
        message[n].at == BEGUN && key[message[n].step] == UNKNOWN ->
        key[message[n].step] = DECLINED;
        answer(n, NO);
        check()
    }
}

inline do_it(n) {
    d_step {
        message[n].at == BEGUN ->
        if
        :: key[message[n].step] == UNKNOWN -> key[message[n].step] = HELD; answer(n, YES)
        :: else -> answer(n, NO) /* its undo came meanwhile */
        fi;
        check()
    }
}

inline lose(n) {
    d_step { !message[n].waited && message[n].at == ON_ITS_WAY -> free(n) }
}

inline forget(s) { /* long after the end, when nothing that was sent with a proof can arrive any more */
    d_step {
        saga[leads].decision == ABORTED && key[s] != UNKNOWN && !work[0].proof[s] && !work[1].proof[s] ->
        ok = true;
        k = 0;
        do
        :: k < STEPS -> ok = ok && !OPEN(leads, k); k++
        :: else -> break
        od;
        k = 0;
        do
        :: k < MESSAGES -> ok = ok && (message[k].at == FREE || message[k].step != s); k++
        :: else -> break
        od;
        if
        :: ok -> key[s] = UNKNOWN
        :: else -> skip
        fi;
        clean()
    }
}

/* ---- processes ---- */

#if STEPS > 1
#define EACH_STEP(act) :: act(me, 0) :: act(me, 1)
#define BOTH(act) :: act(0) :: act(1)
#else
#define EACH_STEP(act) :: act(me, 0)
#define BOTH(act) :: act(0)
#endif
#if MESSAGES > 2
#define EACH_HERE(act) :: act(me, 0) :: act(me, 1) :: act(me, 2)
#define EACH_MESSAGE(act) :: act(0) :: act(1) :: act(2)
#else
#define EACH_HERE(act) :: act(me, 0) :: act(me, 1)
#define EACH_MESSAGE(act) :: act(0) :: act(1)
#endif

proctype Leader(byte me) {
end:
    do
    EACH_STEP(intend) EACH_STEP(note) EACH_STEP(note_undone)
    :: commit(me) :: abort(me) :: committed(me)
    EACH_STEP(prove) EACH_STEP(send) EACH_STEP(undo)
    EACH_HERE(hear) EACH_HERE(give_up)
    od
}

proctype Others(byte me) { /* the participant, and what happens to the journal */
end:
    do
    :: replaced_without() :: replaced_with()
    EACH_MESSAGE(arrive) EACH_MESSAGE(decline) EACH_MESSAGE(do_it) EACH_MESSAGE(lose)
    BOTH(forget)
    od
}

init {
    atomic { run Leader(0); run Leader(1); run Others(2) }
}
