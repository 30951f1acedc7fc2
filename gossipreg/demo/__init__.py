"""The demonstration: five sidecars and a small shop on this machine. `docs/demo.md` is its manual.

    shop/           the programs of the shop, an example to read
    child           a process that dies with the demonstration
    cleaner         the process that deletes the folder, however the demonstration ends
    processes       start, stop and kill processes
    ports           ports that are free, and stay so
    layout          which host has which programs
    links           which sidecars are cut off from each other
    socket_owner    which process holds the other end of a connection
    link_relay      the relay in front of a sidecar: it forwards datagrams and connections, or lets them wait
    hosts           a host: a sidecar and the programs beside it, as processes
    lookout         what the sidecars know, and when each of them knows it
    orders          what the customers ordered, and what came of it
    crowd           the customers, as a process
    books           whether the shop's databases agree with the orders
    teller          lines for a person, or JSON
    typed_commands  what a person may type: a line becomes a command
    cast            all that the demonstration has: hosts, links, customers
    host_faults     kill, restart, pause and resume, and what the others see of it
    link_faults     cut and heal, and what each side sees of it
    trade           orders, the load, the failing payment, the books
    stage           which part carries out which command
    opening         everything starts, and the shop opens
    story           the play: which command comes when
    running         the demonstration from its start to its end

It uses the sidecar as every user does: by its command line, its local socket and its files. Nothing of it is loaded by
other commands.
"""
