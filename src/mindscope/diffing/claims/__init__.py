"""From candidates to claims: a sentence each, measured on other prompts, and pushed along a direction."""
