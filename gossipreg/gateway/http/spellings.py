"""Text as Consul compares names and tags: in any case."""


def folded(text: str) -> str:
    return text.lower()
