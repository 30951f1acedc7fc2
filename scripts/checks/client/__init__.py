"""`scripts/check --client`: programs that use the client as hard as they can, with real sidecars and processes.

    check.py       both parts, one after the other

The first part: nothing that uses the client fails, hangs or leaks while its sidecar is restarted.

    storm.py       the part: what runs, for how long, and its tables
    fleet.py       the services that are called: they come and go
    instances.py   the process that serves all their instances
    callers.py     the programs that call by themselves: threaded.py, and caller.mjs in Node.js
    asking.py      how the programs ask an instance
    wsgi_app.py    a program under gunicorn
    asgi_app.py    a program under uvicorn
    servers.py     gunicorn and uvicorn, and the threads that send them requests
    restarts.py    the sidecar of these programs, killed and stopped many times

The second part: two services that call each other go on while their instances and sidecars die.

    outages.py     the part: quiet, then outages, and its tables
    hosts.py       three hosts with an instance of each service, and how they are hurt
    load.py        the program that sends the load
    others.py      how much of the machine other programs take

For both:

    records.py     what became of each request: written by the programs, read by the judge
    judge.py       wrong answers, failures and hangs
    holdings.py    what processes hold, and what they leak
    stacks.py      where the threads of a process stand
"""
