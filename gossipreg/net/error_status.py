"""The status of HTTP for each error code of the local socket."""

from http import HTTPStatus

STATUS = {
    "bad_params": HTTPStatus.BAD_REQUEST, "unknown_method": HTTPStatus.NOT_FOUND, "not_found": HTTPStatus.NOT_FOUND,
    "refused": HTTPStatus.FORBIDDEN, "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "busy": HTTPStatus.SERVICE_UNAVAILABLE, "not_synced": HTTPStatus.SERVICE_UNAVAILABLE,
    "leaving": HTTPStatus.SERVICE_UNAVAILABLE, "cannot_keep": HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE, "too_few_copies": HTTPStatus.SERVICE_UNAVAILABLE,
    "no_data_directory": HTTPStatus.FORBIDDEN, "conflict": HTTPStatus.CONFLICT,
    "exists": HTTPStatus.CONFLICT, "aborted": HTTPStatus.CONFLICT,
    "outcome_unknown": HTTPStatus.GATEWAY_TIMEOUT, "journal_full": HTTPStatus.INSUFFICIENT_STORAGE,
}  # fmt: skip
OF_SAGAS = dict.fromkeys(("committed", "decided", "not_done"), HTTPStatus.CONFLICT)
"""Codes of a saga that is decided, or cannot be."""


def status_of(code: str) -> int:
    return (STATUS | OF_SAGAS).get(code, HTTPStatus.BAD_REQUEST)
