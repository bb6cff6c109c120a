"""What a person sees in a browser during a web step."""
