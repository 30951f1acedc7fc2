"""`sha256`, as `hashlib` has it, without OpenSSL: see `blake2.py`."""

import sys

if sys.version_info >= (3, 12):
    try:
        from _sha2 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:  # an interpreter that has it elsewhere
        from hashlib import sha256 as sha256
else:
    try:
        from _sha256 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from hashlib import sha256 as sha256
