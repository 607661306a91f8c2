"""Who may come in, in the relational store: sensors and their keys, console keys, accounts."""
