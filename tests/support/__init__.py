"""Support for tests: processes, devices, data, reference networks, and faults."""
