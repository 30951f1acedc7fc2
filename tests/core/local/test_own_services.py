"""Our own services: where they stand in our row."""

from gossipreg.model import Health, RegisteredService
from tests.core.cluster import START
from tests.core.speaker import a_node


def test_new_service_takes_the_slot_of_one_that_is_gone() -> None:
    node = a_node()
    web, db, mail = (RegisteredService(id, id, "10.1.0.1", 80) for id in ("web", "db", "mail"))
    node.register(web, Health.PASSING, START)
    node.register(db, Health.PASSING, START)
    node.deregister("web", START)
    node.register(mail, Health.PASSING, START)
    assert [one.service for one in node.catalog.of_node(node.id)] == [db, mail]
