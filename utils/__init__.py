"""Settings, data sets, processors, training, records and plots."""
