"""From simulations to pictures: reading what is there, tables, figures, one style."""
