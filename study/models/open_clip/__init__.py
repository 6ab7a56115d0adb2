"""Models of open_clip: CLIP trained here, and checkpoints of the library."""
