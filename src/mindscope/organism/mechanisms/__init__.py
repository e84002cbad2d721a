"""The second organism's world: each mechanism that a method is to find, forced by what the texts are.

A module a mechanism, with what writes its texts, what is true of them, and what is kept from training.
`corpus/` puts them together and says how they are learnt, `card/` measures what came of it.
"""
