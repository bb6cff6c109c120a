"""What makes a tenant document sound: the rules, and the one check that applies them."""
