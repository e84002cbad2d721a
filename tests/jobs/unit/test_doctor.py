"""The job behind `doctor`."""

import job_kit

from mindscope.jobs import SilentReporter
from mindscope.jobs.doctor import DoctorReport, DoctorSpec, examine


def test_a_program_asks_the_doctor():
    job_kit.require_sentences(examine)
    report = examine(DoctorSpec(), reporter=SilentReporter())
    assert DoctorReport.model_validate_json(report.model_dump_json()) == report
