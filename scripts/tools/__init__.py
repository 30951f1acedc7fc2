"""Tools that the commands of this folder and the tests with real processes share, one idea a file.

    sidecars.py   real sidecars: started, asked and ended
    wait.py       wait for a condition, with a bound
    programs.py   other programs: a free port, started, ended with all that they started; virtual environments
    machine.py    the load, and the CPU time, memory and traffic of processes, from /proc
    network.py    a network namespace of one's own, and a firewall in it
    packets.py    UDP packets with a forged source
    figures.py    percentiles, and tables in Markdown

It imports nothing of `tests/`.
"""
