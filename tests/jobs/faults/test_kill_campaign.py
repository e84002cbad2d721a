"""Every job that keeps a run is killed at random moments, and ends with the bytes of one that nobody killed.

The fast tier kills ten jobs once each. The long tier (`make test-long`) kills every job of the registry that
keeps a run `KILLS` times, more than 200 times in all. With MINDSCOPE_KILL_LOG=FILE each job appends a line.
"""

import inspect
import os
from pathlib import Path

import kill_jobs
import kill_kit
import pytest

from mindscope.jobs.registry import JOBS, find_job

KILLS = 7
LOG = "MINDSCOPE_KILL_LOG"
FAST = (
    *("persona extract", "persona sweep", "persona monitor", "persona screen", "persona finetune"),
    *("dictionary train", "dictionary record", "feature survey", "feature label", "circuit trace"),
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> kill_kit.KillBench:
    return kill_kit.KillBench.build(tmp_path_factory.mktemp("bench"))


def test_no_job_that_keeps_a_run_is_left_out():
    keeping = {name for name in JOBS if "run" in inspect.signature(find_job(name)).parameters}
    assert {*kill_jobs.CAMPAIGN, *kill_jobs.ELSEWHERE} == keeping
    assert KILLS * len(kill_jobs.CAMPAIGN) >= 200


@pytest.mark.parametrize("name", FAST)
def test_killed_once(bench, name):
    assert kill_kit.run_campaign(bench, name, 1, seed=1) == 1


def test_killed_behind_the_last_step(bench):
    """The trainer's own loop would take one step more when it is resumed behind the last."""
    name = "persona finetune"
    n_events = bench.whole(name).n_events
    for event in range(n_events - 3, n_events + 1):
        place = kill_kit.prepare(bench, name)
        assert kill_kit.attempt(bench, name, place, event=event).was_killed
        bench.require_whole(name, place, kill_kit.attempt(bench, name, place), f"after a kill at {event}")


@pytest.mark.long
@pytest.mark.parametrize("name", kill_jobs.CAMPAIGN)
def test_killed_often(bench, name):
    n_killed = kill_kit.run_campaign(bench, name, KILLS)
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as log:
            log.write(f"{name}: {n_killed} kills\n")
    assert n_killed == KILLS
