"""From the meter to the server: the spool on disk, and the uplink that sends it until it is acknowledged."""
