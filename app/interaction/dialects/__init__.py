"""Wire dialects of the session: one pure encoder and decoder each."""
