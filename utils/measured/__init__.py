"""From measured curves to a device file: reading, fitting, report and picture."""
