"""The log of the client: the logger `gossipreg` of the standard library, loaded when there is something to say."""


def log_warning(text: str) -> None:
    import logging

    logging.getLogger("gossipreg").warning("%s", text)


def log_exception(text: str) -> None:
    """Log this text with the exception that is being handled."""
    import logging

    logging.getLogger("gossipreg").exception("%s", text)
