"""The console's widgets. What they decide is decided in afterfact_client.state."""
