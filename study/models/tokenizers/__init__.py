"""Text tokenizers: trained here, and pretrained ones that keep a part of their tokens."""
