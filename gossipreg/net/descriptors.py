"""How many descriptors the process may have: each connection takes one."""

KEPT = 1_024
"""Descriptors of the process that are left for the local socket (512), checks (144) and files."""


def raise_descriptors(wanted: int) -> int:
    """Raise the limit of descriptors to this number if the system allows it; returns the limit of this process.
    Programs that it starts later (commands of checks) have the same limit, and none of our descriptors."""
    try:
        import resource
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    better = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (better, hard))
    except (OSError, ValueError):
        return soft
    return better
