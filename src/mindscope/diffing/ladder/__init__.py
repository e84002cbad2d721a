"""The steps of the comparison, from minutes up: answers, distributions, activation differences, latents."""
