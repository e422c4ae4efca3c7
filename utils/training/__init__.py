"""Training: the step, ensembles and their epochs, jobs, and the plan of what runs when."""
