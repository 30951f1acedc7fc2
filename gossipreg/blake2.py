"""`blake2b`, as `hashlib` has it, without OpenSSL.

`hashlib` loads OpenSSL's library for its other functions, some 0.9 MiB of private memory; its `blake2b` is this one.
"""

try:
    from _blake2 import blake2b as blake2b
except ImportError:  # an interpreter that has it elsewhere
    from hashlib import blake2b as blake2b
