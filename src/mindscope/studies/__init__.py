"""Published results, rerun: each study is one command with its figures beside the published numbers."""
