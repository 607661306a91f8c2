"""The subcommands of `afterfact` that print."""
