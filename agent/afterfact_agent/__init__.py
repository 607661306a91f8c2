"""The sensor's program: capture, metering, spool and uplink."""
