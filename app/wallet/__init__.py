"""The demonstration wallet: speaks HTTP only and knows nothing of the service's internals."""
