"""SigLIP and SigLIP2 of transformers: trained here, and pretrained."""
