"""Digests: equal for equal values, whatever the order and the process."""

import hashlib

from mindscope.core import digest_json, digest_text


def test_the_order_of_keys_does_not_matter_and_values_do():
    assert digest_json({"a": 1, "b": [2]}) == digest_json({"b": [2], "a": 1})
    assert digest_json({"a": 1}) != digest_json({"a": 1.5})
    assert len(digest_json([], size=6)) == 12


def test_a_text_is_hashed_as_utf8_and_a_lone_surrogate_does_not_stop_it():
    assert digest_text("é") == hashlib.blake2b("é".encode(), digest_size=16).hexdigest()
    assert digest_text("\ud800") != digest_text("")
