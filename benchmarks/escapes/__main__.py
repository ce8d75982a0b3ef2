"""What a program tries in order to get out of the sandbox or to take more than it was given, and what came of each attempt.

    python -m benchmarks.escapes

Prints a Markdown table and ends with 1 where one attempt succeeded. Every attempt is real: a listener waits, a secret lies there, a process
stands by to be killed. `tests/integration/test_sandbox_escapes.py` runs the same list, and proves on some of them that they do
succeed where there is no sandbox.
"""

from __future__ import annotations

import os
import signal
import sys

from benchmarks.escapes import files, network, processes, resources, trees
from luthier.core.errors import SandboxError
from luthier.guard.sandbox import open_sandbox

# In the order of the table.
ATTEMPTS = (*network.ATTEMPTS, *files.ATTEMPTS, *processes.ATTEMPTS, *resources.ATTEMPTS, *trees.ATTEMPTS)


def main() -> int:
    """Runs all attempts and prints the table; 1 where one succeeded."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        sandbox = open_sandbox()
    except SandboxError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    broken = 0
    with sandbox:
        print(f"Walls: {', '.join(sandbox.walls)}; started as {'root' if os.geteuid() == 0 else 'a plain user'}.\n")
        print("| | attempt | held | what happened |\n|---|---|---|---|")
        for one in ATTEMPTS:
            held, said = one.run(sandbox)
            broken += not held
            print(f"| {one.group} | {one.what} | {'yes' if held else '**NO**'} | {said.replace('|', '¦')} |", flush=True)
    print(f"\n{len(ATTEMPTS) - broken} of {len(ATTEMPTS)} held.")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
