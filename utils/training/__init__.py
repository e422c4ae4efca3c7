"""From fresh networks to trained ones: ensembles, how their steps run, and the epochs."""
