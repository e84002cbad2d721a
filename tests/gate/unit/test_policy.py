"""A policy is a file that explains itself, and what is wrong with one is said in a line."""

from itertools import pairwise

import pytest

from mindscope.errors import DataError
from mindscope.gate import GatePolicy, read_policy, write_policy

HEAD = 'schema = "mindscope.gate-policy/1"\n'


def test_what_is_written_is_the_default_and_explains_every_field(tmp_path):
    file = tmp_path / "policy.toml"
    write_policy(file)
    assert read_policy(file) == GatePolicy() == read_policy(None)
    lines = file.read_text().splitlines()
    for before, line in pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert before.startswith("# ")
    with pytest.raises(DataError, match="there already"):
        write_policy(file)


def test_a_changed_policy_has_another_digest_and_a_reformatted_one_has_not(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(f"{HEAD}[behaviour]\nmax_rise = 20.0\n")
    policy = read_policy(file)
    assert policy.behaviour.max_rise == 20
    assert policy.digest() != GatePolicy().digest()
    file.write_text(f"{HEAD}behaviour = {{max_rise = 20}}  # higher\n")
    assert read_policy(file).digest() == policy.digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("behaviour = {max_rise = 20}", "schema = None, not 'mindscope.gate-policy/1'"),
        ("schema = 1\n", "gate policy FILE"),
        (
            f"{HEAD}[behaviour]\nmax_rse = 20\n",
            r"behaviour\.max_rse: there is no such field; \[behaviour\] has .*max_rise",
        ),
        (f"{HEAD}[behavior]\nmax_rise = 20\n", r"behavior: there is no such field; a policy has .*behaviour"),
        (f"{HEAD}[behaviour]\nsamples = true\n", r"behaviour\.samples: true and false are no"),
        (f"{HEAD}[shift]\nmax_share = inf\n", r"shift\.max_share"),
        (f"{HEAD}[behaviour]\nmax_rise = -1\n", r"behaviour\.max_rise: Input should be greater than 0"),
        (f"{HEAD}[shift]\nmax_share = nan\n", r"shift\.max_share"),
        (f"{HEAD}[alarms]\nfalse_alarms = 0.01\ncalibrating = 98\n", "let calibrating be 99 at least"),
        (f'{HEAD}[alarms]\neffect = "maybe"\n', r"alarms\.effect"),
        ("behaviour = [", "is no TOML"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, text, message):
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_policy(file)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_editor_is_read(tmp_path):
    """Some begin with a mark of the byte order and end lines with two characters."""
    file = tmp_path / "policy.toml"
    write_policy(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_policy(file) == GatePolicy()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the policy .*none\.toml"):
        read_policy(tmp_path / "none.toml")
