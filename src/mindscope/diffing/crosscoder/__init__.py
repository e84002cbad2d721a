"""A crosscoder between two models: latent scaling, and pairs whose truth is known."""
