"""Constants decoded for real, within bounds; nothing raises, and what does not decode is told as decoded data of unknown content."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import gzip
import lzma
import urllib.parse
import zlib
from collections.abc import Callable

from luthier.guard.risk.inline.texts import MAX_TEXT, DecodedBytes, DecodedText, Value, is_constant, taint, text_of
from luthier.guard.values.symbols import DECODED, NETWORK


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_TEXT)


def _inflate_raw(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data, MAX_TEXT)


def _gunzip(data: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(data, MAX_TEXT)


def _padded(data: bytes) -> bytes:
    return base64.b64decode(data.translate(bytes.maketrans(b"-_", b"+/")) + b"==")


def _uudecode(data: bytes) -> bytes:
    return b"".join(binascii.a2b_uu(line) for line in data.splitlines() if line and line[:1] not in b"` ")


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": _padded,
    "base32": base64.b32decode,
    "base16": lambda data: base64.b16decode(data, casefold=True),
    "base85": base64.b85decode,
    "ascii85": base64.a85decode,
    "hex": lambda data: bytes.fromhex(data.decode("ascii")),
    "zlib": _inflate,
    "deflate": _inflate_raw,
    "gzip": _gunzip,
    "bz2": lambda data: bz2.BZ2Decompressor().decompress(data, MAX_TEXT),
    "lzma": lambda data: lzma.LZMADecompressor(memlimit=1 << 26).decompress(data, MAX_TEXT),
    "uu": _uudecode,
    "rot13": lambda data: codecs.encode(data.decode("utf-8"), "rot13").encode("utf-8"),
    "url": urllib.parse.unquote_to_bytes,
    "escape": lambda data: codecs.escape_decode(data)[0],
}
# The names that Python's `codecs` and other languages give them.
_NAMES = {
    "base_64": "base64",
    "base64_codec": "base64",
    "rot_13": "rot13",
    "rot-13": "rot13",
    "zip": "zlib",
    "zlib_codec": "zlib",
    "hex_codec": "hex",
    "bz2_codec": "bz2",
    "uu_codec": "uu",
    "string_escape": "escape",
    "unicode_escape": "escape",
    "unicode-escape": "escape",
    "raw_unicode_escape": "escape",
}
_REFUSALS = (ValueError, EOFError, OSError, binascii.Error, zlib.error, lzma.LZMAError, gzip.BadGzipFile, MemoryError)


def is_codec(name: str) -> bool:
    """Whether `name` is an encoding that hides text, not a character set."""
    name = name.lower()
    return _NAMES.get(name, name) in _DECODERS


def decoded(name: str, value: Value, as_text: bool = False) -> Value:
    """`value` decoded after the encoding `name`: bytes or text that remember it, or `DECODED` where it cannot be worked out."""
    name = name.lower()
    decoder = _DECODERS.get(_NAMES.get(name, name))
    if decoder is None or not isinstance(value, str | bytes):
        return NETWORK if NETWORK in taint((value,)) else DECODED
    if isinstance(value, str) and not is_constant(value):
        return taint((value,)) if NETWORK in value else DECODED
    data = value if isinstance(value, bytes) else text_of(value).encode("utf-8", "surrogatepass")
    if len(data) > MAX_TEXT:
        return DECODED
    try:
        result = decoder(data)[:MAX_TEXT]
    except _REFUSALS:
        return DECODED
    if as_text:
        return DecodedText(result.decode("utf-8", "replace"))
    return DecodedBytes(result)
