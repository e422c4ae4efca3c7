"""From records to pictures: tables, figures, one style."""
