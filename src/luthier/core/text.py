"""Whether text can be written down at all."""

from __future__ import annotations

import json

from luthier.core.records import JsonValue


def is_unicode(value: JsonValue) -> bool:
    """Whether a text, or every text in a JSON value, can be written as UTF-8.

    What cannot holds half a character, a lone surrogate, for which UTF-8 has no bytes (The Unicode Standard, D92): JSON's escapes can name
    one, and bytes of a terminal that are no UTF-8 become some. TypeError, ValueError or RecursionError where JSON cannot hold `value`; NaN
    and infinities pass.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
