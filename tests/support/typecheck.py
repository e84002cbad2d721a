"""The type checker of the tests' import hook."""

from beartype import BeartypeConf, beartype

# An int is a float, as the typing specification and every static checker have it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
