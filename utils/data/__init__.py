"""From files to input currents on the compute device."""
