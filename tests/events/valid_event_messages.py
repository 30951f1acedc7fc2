"""Valid messages about events, for tests of what reads and writes them."""

from hypothesis import strategies as st

from gossipreg.events import messages as m
from gossipreg.events.codec import MAX_AFTER_MS, MAX_ATTEMPT, MAX_CODE_BYTES, MAX_KEEP_MS, MAX_WINDOW
from gossipreg.events.entries import MAX_REASON_BYTES
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import EventMessage
from gossipreg.journal.message_forms import MAX_NUMBER
from tests.journal.valid_messages import ballots, journals, numbers

groups = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
attempts = st.integers(1, MAX_ATTEMPT)
events = st.binary(max_size=300)
codes = st.text("abc_", max_size=MAX_CODE_BYTES)
texts = st.text(st.characters(codec="utf-8"), max_size=MAX_REASON_BYTES // 4)
windows = st.lists(st.tuples(groups, st.integers(0, MAX_WINDOW)), max_size=4).map(tuple)
deliveries = st.builds(m.Delivery, st.one_of(groups, st.just("")), st.integers(0, MAX_NUMBER), attempts, events)
outcomes = st.builds(
    m.DeliveryOutcome, groups, numbers, attempts, st.sampled_from(m.DeliveryResult), texts,
    st.integers(0, MAX_AFTER_MS), st.booleans(), st.integers(0, MAX_ATTEMPT),
)  # fmt: skip

known_patterns = st.sets(st.sampled_from(("order.*", ">", "a.b.>", "x")), min_size=1)
known_groups = st.dictionaries(groups, st.tuples(known_patterns, st.booleans(), st.booleans()), max_size=3).map(
    lambda found: tuple(KnownGroup(name, tuple(sorted(some)), *flags) for name, (some, *flags) in found.items())
)

VALID: tuple[st.SearchStrategy[EventMessage], ...] = (
    st.builds(
        m.ForwardPublish, journal=journals, number=numbers, event=events, keep_ms=st.integers(0, MAX_KEEP_MS),
        groups=known_groups,
    ),
    st.builds(
        m.PublishAnswers, journal=journals, number=numbers, code=codes, text=texts, index=numbers, copies=numbers,
        takeover=st.booleans(), duplicate=st.booleans(), groups=numbers,
    ),
    st.builds(
        m.Deliveries, journal=journals, ballot=ballots, deliveries=st.lists(deliveries, max_size=4).map(tuple)
    ),
    st.builds(
        m.DeliveryOutcomes, journal=journals, ballot=ballots, outcomes=st.lists(outcomes, max_size=4).map(tuple),
        windows=windows,
    ),
    st.builds(m.WindowOpened, journal=journals, windows=windows),
    st.builds(m.EventsCall, number=numbers, method=codes, params=st.binary(max_size=100)),
    st.builds(m.EventsReply, number=numbers, code=codes, result=st.binary(max_size=100)),
)  # fmt: skip
event_messages = st.one_of(*VALID)
