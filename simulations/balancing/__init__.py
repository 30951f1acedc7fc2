"""Clients that balance their requests over servers with queues, in virtual time: the parts of the scenario `balance`.

requests    one request
servers     workers, a bounded queue, a speed; how a server fails
connections a client opens them, and keeps them for a while
pickers     what a client knows: the shipped Balancer, and the policies that it is compared with
prequal     Prequal, with its probes
traffic     the loop: arrivals, deadlines, answers
rows        the cases of the comparison of policies
table       the comparison as markdown, and its aims
picture     the comparison as a picture
faults      what happens to the servers of a case, and when
"""
