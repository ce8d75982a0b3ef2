"""Characters that nobody sees: the one list, for the guard of commands and for the scanner of secrets."""

# Soft hyphen, grapheme joiner, and Unicode's other default-ignorable and bidirectional controls; the inside of a character class.
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff"
)
