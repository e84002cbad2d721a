"""The second organism's texts put together: which mechanism has which share at which step, and the tokenizer.

`program.py` draws the texts, `shares.py` says how many of each, `recipe.py` how they are learnt.
"""
