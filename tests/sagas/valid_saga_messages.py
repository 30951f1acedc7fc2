"""Valid messages about sagas, for tests of what reads and writes them."""

from hypothesis import strategies as st

from gossipreg.sagas import saga_messages as m
from gossipreg.sagas.saga_messages import MAX_SAGA_CODE_BYTES, SagaMessage
from tests.journal.valid_messages import journals, numbers
from tests.sagas.valid_sagas import ids

codes = st.text("abc_", max_size=MAX_SAGA_CODE_BYTES)
named_sagas = st.lists(ids, max_size=3).map(tuple)

VALID: tuple[st.SearchStrategy[SagaMessage], ...] = (
    st.builds(m.SagaCall, journal=journals, number=numbers, method=codes, params=st.binary(max_size=100)),
    st.builds(m.SagaReply, journal=journals, number=numbers, code=codes, result=st.binary(max_size=100)),
    st.builds(m.CallAbandoned, journal=journals, number=numbers),
    st.builds(m.ProgramHere, journal=journals, sagas=named_sagas),
    st.builds(m.ProgramLost, journal=journals, sagas=named_sagas),
)
saga_messages = st.one_of(*VALID)
