"""Sagas for the programs beside this sidecar: the pure parts of `gossipreg/sagas/` over its journals and its local
socket. Loaded with the journals.

    local_sagas     composes the sagas with the journals of the sidecar: effects carried out, who waits for an answer
    saga_methods    the methods of the local socket
    saga_answer     the answer of a call, read before a client gets it
    saga_programs   which connections are the program of which saga
    command_sender  one command to one instance; loaded when the first is sent
    secrets_folder  the files of `--secrets`
    sagas_shown     what `info` and the metrics show of them
    saga_spans      the spans of sagas and their commands
    saga_reports    what the log says of them, and troubles
"""
