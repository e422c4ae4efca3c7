"""Settings, data sets, training, records and plots."""
