"""What any of the agent's commands may meet, and none can go on from. Imports nothing: see __main__."""


class KernelError(Exception):
    """The kernels cannot be compiled here; says why."""
