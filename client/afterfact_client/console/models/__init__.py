"""Qt adapters over afterfact_client.state and the connection: objects with signals, no widgets."""
