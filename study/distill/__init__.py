"""Training: teachers, their cached embeddings, students."""
