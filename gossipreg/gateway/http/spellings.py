"""Names and tags compared as Consul does it, in any case."""


def folded(text: str) -> str:
    return text.lower()
