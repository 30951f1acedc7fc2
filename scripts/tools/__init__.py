"""Tools that the commands of this folder and the tests with real processes share, one idea a file.

    sidecars.py   real sidecars: started, asked and ended
    wait.py       wait for a condition, with a bound
    programs.py   other programs: a free port, started, ended with all that they started; virtual environments
    machine.py    the load, and the CPU time, memory and traffic of processes, from /proc
    network.py    network namespaces of one's own, as hosts on a bridge too, and firewalls in them
    small_disk.py a disk in memory that can be made full
    chromium.py   a real browser without a window, driven by its DevTools protocol
    packets.py    UDP packets with a forged source
    figures.py    percentiles, and tables in Markdown

It imports nothing of `tests/`.
"""
