// Errors that prove that an instance got no byte of a request, so that it may be sent again whatever it does.
//
// Only what is certain counts. This is the rule, for a function of the program as for `fetch`:
//
//     the error                                                nothing was sent
//     of the system, while connecting (ECONNREFUSED,           certain: `syscall` says what was done
//     EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ECONNRESET ...)
//     of a name without an address (ENOTFOUND, EAI_AGAIN)      certain
//     of a certificate that we refused                         certain: we check it before the request
//     UND_ERR_CONNECT_TIMEOUT of undici                        certain
//     the same codes while reading or writing                  no: a connection that broke gives them, too
//     any other error of TLS                                   no: a server may refuse us after the request
//     a time that passed                                       no: of connecting, or of waiting for the answer
//
// What a program knows better it says by `attempt.neverSent()` or `attempt.failed()`.

const BEFORE_A_REQUEST = new Set(["connect", "getaddrinfo"]);
/** Reasons of OpenSSL and Node for which a certificate is refused. */
const OF_CERTIFICATES = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Whether this error, without what it wraps, is such a proof. */
export function provesNotSent({ code, syscall }) {
  return BEFORE_A_REQUEST.has(syscall) || OF_CERTIFICATES.has(code) || code === "UND_ERR_CONNECT_TIMEOUT";
}
