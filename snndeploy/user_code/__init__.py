"""The user's own code: opened, not run.

A module that ``--arch`` or ``--data`` names is taken apart (``statements``, ``scopes``), what its named class or
function needs is found (``plan``), and that alone is executed (``opening``): imports, classes, functions, and the
constants they use. Its neighbours are opened the same way (``session``). Whatever it prints goes to standard error.
"""

from __future__ import annotations

from snndeploy.user_code.refused import RISK, Refused, Unknown
from snndeploy.user_code.session import Session, digest, session, unchanged

__all__ = ["RISK", "Refused", "Session", "Unknown", "digest", "session", "unchanged"]
