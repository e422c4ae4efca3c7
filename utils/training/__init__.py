"""From fresh networks to trained ones: ensembles, their epochs, jobs, and what runs when."""
