"""Students with a pretrained text encoder of transformers."""
