"""What a person reads instead of a traceback. Apart from what raises it: a command must be able to tell it without
importing databases."""


class ConfigError(ValueError):
    """The server's directory or configuration cannot be used; one line for a person."""


class RegistryError(RuntimeError):
    """The relational store cannot do what was asked; one line for a person."""


class OperationError(RuntimeError):
    """An operation cannot be done; one line for a person."""
