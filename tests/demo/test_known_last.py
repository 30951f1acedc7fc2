"""What the demonstration tells of a host that hears nobody."""

from gossipreg.demo.link_faults import known_last

HERE, ELSEWHERE = {"stale": False}, {"stale": True}


def test_the_example_is_a_service_that_is_elsewhere() -> None:
    told = known_last({"stock": [HERE], "mail": [HERE, ELSEWHERE], "api": [ELSEWHERE, ELSEWHERE]})
    assert told == ", such as where mail is: 1 of 2 is elsewhere, and marked as stale."
    assert known_last({"stock": [HERE], "api": [ELSEWHERE] * 2}).endswith("2 of 2 are elsewhere, and marked as stale.")


def test_where_nothing_is_elsewhere_no_example_is_made_up() -> None:
    assert known_last({"stock": [HERE], "mail": []}) == "; nothing elsewhere was alive by then."
