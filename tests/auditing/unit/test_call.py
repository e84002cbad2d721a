"""What a call asks for: read from arguments and from `extra_body`, refused where it does not fit."""

import pytest

from mindscope.auditing.extension.call import CallFields, CallRecord
from mindscope.errors import DataError


def test_a_call_changes_what_it_names_and_nothing_else():
    defaults = CallFields(steer="2 evil", monitor=("evil",))
    changed = defaults.changed_by({"mindscope": {"steer": "1 kind"}, "other": 1})
    assert changed == CallFields(steer="1 kind", monitor=("evil",))
    assert defaults.changed_by(None) is defaults
    assert defaults.changed_by({"other": 1}) is defaults


def test_a_call_can_ask_for_no_steering():
    assert CallFields(steer="2 evil").changed_by({"mindscope": {"steer": None}}).steer is None


def test_names_may_stand_in_one_text_as_on_a_command_line():
    assert CallFields.model_validate({"monitor": "evil,sae.3/2026"}).monitor == ("evil", "sae.3/2026")
    assert CallFields.model_validate({"monitor": None}).monitor == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stear": "2 evil"}, "stear: .*there are steer, monitor"),
        ({"policy": "explode"}, "policy"),
        ({"coefficient": float("nan")}, "coefficient"),
        ("2 evil", "give an object"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(body: object, message: str):
    with pytest.raises(DataError, match=message) as refused:
        CallFields().changed_by({"mindscope": body})
    assert "\n" not in str(refused.value)


def test_a_record_survives_the_log():
    record = CallRecord(model="organism", fingerprint="f", seed=3, steering="2 evil")
    assert CallRecord.of_metadata(record.as_metadata()) == record
    assert CallRecord.of_metadata({"other": 1}) is None
    assert CallRecord.of_metadata(None) is None
