"""Sagas a second, and how soon one goes on after its sidecar died: gossipreg beside DBOS.

row              what is measured, and in which order
peers            the two programs and what each needs
saga_service     the services that all of them send steps to
client_side      what the programs that take sagas share
gossipreg_sagas  sagas of gossipreg, by code and declared
dbos_sagas       the same as DBOS workflows
"""
