"""A wallet of libraries that are not ours."""
