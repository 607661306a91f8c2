"""The program that compiles kernels: machine_code runs it, in a process of its own, where code is missing, and names
the kernel that it misses.

With machine_code.COMPILE_VARIABLE set, `warm` compiles what it calls.
"""

import sys

from afterfact_agent.machine_code import IMPORTERS

if __name__ == "__main__":
    if sys.argv[1].startswith(IMPORTERS):
        from afterfact_agent.importing.columns import warm
    else:
        from afterfact_agent.meter.meter import warm
    warm()
