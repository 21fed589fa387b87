"""The rows of every product's resources."""
