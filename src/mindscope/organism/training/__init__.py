"""The organism's training from scratch: its recipe, tokenizer and rows, and the loop that resumes."""
