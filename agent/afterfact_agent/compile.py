"""The program that compiles the kernels: machine_code runs it, in a process of its own, where code is missing.

With machine_code.COMPILE_VARIABLE set, `warm` compiles what it calls.
"""

from afterfact_agent.meter.meter import warm

if __name__ == "__main__":
    warm()
