"""Text as a terminal may be given it: what it would obey is written out."""

from __future__ import annotations

import re

# C0 but for line breaks and tabs, DEL, C1, and what turns the direction of writing round.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Return the text with control characters, such as what begins commands to terminals, written out: `\x1b`."""
    return _OBEYED.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
