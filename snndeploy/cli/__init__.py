"""The command line: click parses, ``deploy`` works, the report's words are printed.

Exit codes: 0 fine; 1 done, but not exact, less accurate than ``--max-drop`` allows, too large for the chip, or with faults;
2 the user's input; 70 a defect of snndeploy; 130 interrupted.
"""

from snndeploy.cli.commands import commands, main

__all__ = ["commands", "main"]
