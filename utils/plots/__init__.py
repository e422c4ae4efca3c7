"""From records to pictures: tables, figures, one style.

Where nothing else is said, `networks` and `rows` are rows of `Simulations.networks`, of networks
that did not fail.
"""
