"""Engines: whatever is killed, the same bytes come out, by every one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import stage
from pipeline.engines import engine
from pipeline.engines.base import carry_out
from pipeline.engines.ray import import_ray
from pipeline.sources import ROOT
from study.config.params import ExecutionSpec
from tests.pipeline import trainings
from tests.pipeline.trainings import EVERY, FATAL, STEPS, result, steps

LABELS = ("a", "b", "c")
WHOLE = list(range(EVERY, STEPS + 1, EVERY))
RESUMED = [step for step in WHOLE if step <= FATAL + EVERY] + [step for step in WHOLE if step > FATAL]
LOCAL = {"engine": "local", "device": "cpu", "workers": 2}
SLURM = {
    "engine": "slurm",
    "device": "cpu",
    "workers": 1,
    "slurm": {"cluster": "local", "elements": 3, "minutes": 5, "notice": 30},
}
RAY = {"engine": "ray", "device": "cpu", "workers": 2}


def installed(package: str, extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"optional: requirements/install {extra}")


with_submitit = installed("submitit", "slurm")
with_ray = installed("ray", "ray")  # not imported here: the engine says first of what kind it is to be


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the trainings come to where nothing happens, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        for job in trainings.trainings(list(LABELS)):
            assert carry_out(job, "cpu") is None
        return {label: result(label) for label in LABELS}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # by which Ray's workers find the jobs of these tests
    return tmp_path


def started(execution: dict[str, Any], *names: str) -> subprocess.Popen[str]:
    """A driver in a process of its own."""
    command = [sys.executable, "-m", "tests.pipeline.trainings", json.dumps(execution), *names]
    env = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "pool"}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def met(label: str, driver: subprocess.Popen[str] | None = None) -> int:
    """Wait for the disaster of a training; the process that it comes to."""
    path = Path(f"{label}.met")
    for _ in range(1200):
        if path.is_file() and path.read_text():
            return int(path.read_text())
        assert driver is None or driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{label} never came so far")


def ended(pid: int) -> bool:
    """Wait until a process is no more."""
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_local_goes_on_after_a_worker_is_killed(undisturbed: dict[str, dict[str, bytes]]) -> None:
    trainings.run(LOCAL, ["a", "b:worker", "c"])
    assert {label: result(label) for label in LABELS} == undisturbed
    assert steps("b") == RESUMED
    assert steps("a") == WHOLE


def test_local_ends_with_its_driver_and_goes_on(undisturbed: dict[str, dict[str, bytes]]) -> None:
    driver = started(LOCAL, "a", "b:wait", "c")
    worker = met("b", driver)
    driver.kill()
    driver.communicate()
    assert ended(worker)
    trainings.run(LOCAL, ["a", "b", "c"])
    assert {label: result(label) for label in LABELS} == undisturbed
    assert steps("b") == RESUMED


def test_an_interrupt_ends_at_once_with_one_line() -> None:
    driver = started(LOCAL, "a:wait", "b:wait")
    workers = [met("a", driver), met("b", driver)]
    for pid in (driver.pid, *workers):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    _, told = driver.communicate(timeout=10)
    assert told == "trainings: interrupted; what is finished is kept, `dvc repro` goes on from there\n"
    assert driver.returncode == 1
    assert all(map(ended, workers))


@with_submitit
def test_slurm_goes_on_after_its_time_is_over_and_after_a_node_is_gone(
    undisturbed: dict[str, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.run(SLURM, ["a:element", "b:worker", "c:time"])
    assert {label: result(label) for label in LABELS} == undisturbed
    assert steps("a") == steps("b") == steps("c") == RESUMED
    told = capsys.readouterr().out
    assert "a is begun again: its element of the array" in told, "a node that is gone is another array's"
    assert "c is begun again" not in told, "the element itself was queued again"
    assert not (stage.SCRATCH / "slurm" / "array.json").exists()


@with_submitit
def test_slurm_ends_the_array_of_a_driver_that_was_killed(undisturbed: dict[str, dict[str, bytes]]) -> None:
    driver = started(SLURM, "a:wait")
    worker = met("a", driver)
    assert driver.stdout is not None
    assert driver.stderr is not None
    driver.stdout.close()  # the array holds these pipes, too
    driver.stderr.close()
    driver.kill()
    driver.wait()
    assert Path(f"/proc/{worker}").exists(), "an array outlives whoever submitted it"
    trainings.run(SLURM, ["a"])
    assert ended(worker)
    assert result("a") == undisturbed["a"]
    assert steps("a") == RESUMED


@with_submitit
def test_the_batch_script_says_what_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.engines.slurm import executor

    declared = {"partition": "gpu", "elements": 12, "minutes": 90, "notice": 60, "memory": 64, "cpus": 16, "gpus": 4}
    declared |= {"setup": ["module load cuda"], "options": {"account": "vision", "mail-type": "FAIL"}}
    slurm = ExecutionSpec.model_validate({"engine": "slurm", "slurm": declared}).slurm
    with pytest.raises(stage.StageError, match=r'Could not detect "srun".*or declare execution\.slurm\.cluster: local'):
        executor(tmp_path / "%j", slurm)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").touch(0o755)  # submitit looks for it before it writes anything
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    by = executor(tmp_path / "%j", slurm)
    by.parameters["map_count"] = 12
    script = by._make_submission_file_text(by._submitit_command_str, "0").splitlines()
    said = {line.removeprefix("#SBATCH --") for line in script if line.startswith("#SBATCH --")}
    assert {
        "array=0-11%12", "partition=gpu", "time=90", "mem=65536M", "cpus-per-task=16", "gpus-per-node=4",
        "signal=USR2@60", "requeue", "open-mode=append", "account=vision", "mail-type=FAIL", "job-name=small-polyglots",
    } <= said  # fmt: skip
    assert "module load cuda" in script
    (command,) = [line for line in script if line.startswith("srun ")]
    assert f"env PYTHONPATH={ROOT} {sys.executable} -u -m submitit.core._submit {tmp_path}/%j" in command


@with_submitit
def test_an_element_that_its_batch_system_stops_is_queued_again() -> None:
    """`checkpoint` is what submitit asks for; without it a job that ran out of time is not queued again."""
    from pipeline.engines.slurm import Part

    part = Part(Path.cwd(), Path("note.json"), trainings.trainings(["a"]), ExecutionSpec(device="cpu"))
    again = part.checkpoint()
    assert again.function is part
    assert again.args == ()
    assert part.jobs == [tuple(job) for job in trainings.trainings(["a"])]


@with_ray
def test_an_embedded_ray_listens_to_this_machine_alone_and_goes_on(undisturbed: dict[str, dict[str, bytes]]) -> None:
    driver = started(RAY, "a:wait")
    met("a", driver)
    root = psutil.Process(driver.pid)
    processes = [root, *root.children(recursive=True)]
    listening = {
        socket.laddr.ip
        for process in processes
        for socket in process.net_connections(kind="inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert {"raylet", "gcs_server"} <= {process.name() for process in processes}
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert not Path.home().joinpath(".ray", "auth_token").exists()
    driver.kill()
    driver.communicate()
    assert all(ended(process.pid) for process in processes), "nothing is left of it"
    trainings.run(RAY, ["a", "b:worker", "c"])
    assert {label: result(label) for label in LABELS} == undisturbed
    assert steps("a") == steps("b") == RESUMED


@with_ray
def test_a_ray_cluster_goes_on_without_a_machine_that_is_gone(undisturbed: dict[str, dict[str, bytes]]) -> None:
    import_ray(alone=True)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})

    def vanish() -> None:
        raylet = psutil.Process(met("b")).ppid()
        cluster.remove_node(nodes[raylet], allow_graceful=False)

    gone = threading.Thread(target=vanish)
    try:
        added = [cluster.add_node(num_cpus=1) for _ in range(2)]
        nodes = {node.all_processes["raylet"][0].process.pid: node for node in added}
        gone.start()
        trainings.run({**RAY, "workers": "auto", "ray": {"address": cluster.address}}, ["a", "b:wait", "c"])
        gone.join()
    finally:
        cluster.shutdown()
    assert {label: result(label) for label in LABELS} == undisturbed
    assert steps("b") == RESUMED
    assert steps("a") == WHOLE


@with_ray
def test_a_ray_cluster_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="the Ray cluster cannot be used"):
        trainings.run({**RAY, "ray": {"address": "127.0.0.1:9"}}, ["a"])


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    ray = pytest.importorskip("pipeline.engines.ray")
    with pytest.raises(stage.StageError, match="does not see /nowhere/study"):
        ray._make("/nowhere/study", trainings.trainings(["a"])[0], "cpu", 1)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "pipeline.engines.slurm", raising=False)
    with pytest.raises(stage.StageError, match=r"needs submitit: `requirements/install slurm`"):
        engine(ExecutionSpec(engine="slurm"), 3)
