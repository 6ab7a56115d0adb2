"""Nothing that reads runs code, nothing goes through a shell, nothing listens beyond this machine, no file is a secret.

Rules are read from syntax trees (tests/forbidden.py); every rule is shown to find what it is for.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from pipeline.sources import ROOT
from tests.forbidden import found

FILES = sorted(file for package in ("study", "pipeline", "analysis") for file in (ROOT / package).rglob("*.py"))
ALLOWED = {
    # The kernel's own interfaces have no other names; behind them is no user's file.
    ("pipeline/engines/guard.py", "path: '/proc'"),
    ("pipeline/engines/slurm.py", "path: '/proc/'"),
    ("pipeline/needs.py", "path: '/dev'"),
    # The name of a socket has 107 bytes, and the folder for temporary files may be too long for it.
    ("pipeline/engines/ray.py", "path: '/tmp'"),
}
"""File, and what it may do all the same."""


def test_the_code_does_nothing_that_is_forbidden() -> None:
    assert len(FILES) > 150
    problems = {
        (file.relative_to(ROOT).as_posix(), problem.rpartition(", line ")[0])
        for file in FILES
        for problem in found(file.read_text(encoding="utf-8"))
    }
    assert problems - ALLOWED == set()
    assert ALLOWED - problems == set(), "an exception that nothing needs any more"


VIOLATIONS = {
    "unpickling": [
        "import pickle", "from pickle import loads", "import dill as d", "from joblib import load", "import shelve",
        "import torch\ntorch.load(p)", "from torch import load\nload(p, weights_only=False)",
        "import torch as t\nt.load(p, weights_only=flag)", "import numpy as np\nnp.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=flag)", "import pandas as pd\npd.read_pickle(p)", "o = {'allow_pickle': True}",
    ],
    "YAML": [
        "import yaml\nyaml.load(t)", "import yaml\nyaml.load(t, Loader=yaml.Loader)",
        "import yaml\nyaml.unsafe_load(t)",
        "from yaml import full_load\nfull_load(t)", "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
    ],
    "remote code": [
        "f(trust_remote_code=True)", "f(trust_remote_code=wanted)", "options = {'trust_remote_code': True}",
    ],
    "shell": [
        "import os\nos.system('ls')", "from os import popen\npopen('ls')",
        "import subprocess\nsubprocess.run(c, shell=True)",
        "import subprocess\nsubprocess.run('ls -l')", "import subprocess as s\ns.Popen(f'ls {name}')",
        "from subprocess import run\nrun('ls ' + name)", "command = ['bash', '-c', text]",
        "import subprocess\nsubprocess.getoutput(c)",
    ],
    "code": [
        "eval(text)", "exec(text)", "compile(text, '', 'exec')", "__import__(name)", "import pandas\npandas.eval(t)",
    ],
    "binding": [
        "c = ['mlflow', 'ui', '--port', '5000']", "c = ['mlflow', 'server', '--host', '0.0.0.0']",
        "HOST = '192.168.1.1'\nc = ['mlflow', 'ui', '--host', HOST]", "c = [python, '-m', 'http.server', '8000']",
        "from http.server import HTTPServer\nHTTPServer(('', 8000), H)", "s.bind(('', 80))", "s.bind((host, 80))",
        "import ray\nray.init(_node_ip_address='127.0.0.1')", "import ray\nray.init(include_dashboard=False)",
        "import ray\nray.init(dashboard_host='0.0.0.0', _node_ip_address='127.0.0.1')",
        "import uvicorn\nuvicorn.run(app, host=name)", "app.run(host='10.0.0.1')",
    ],
    "temporary": ["import tempfile\ntempfile.mktemp()", "from tempfile import mktemp as m\nm()"],
    "path": ["p = '/home/someone/data'", "p = f'/tmp/{name}'", "p = Path('/work')", "p = 'C:\\\\data'"],
}  # fmt: skip

FINE = [
    "import torch\ntorch.load(p, weights_only=True)", "import numpy as np\nnp.load(p, allow_pickle=False)",
    "model.eval()",
    "import yaml\nyaml.load(t, Loader=yaml.SafeLoader)", "import yaml\nyaml.safe_load(t)", "YAML(typ='safe')",
    "f(trust_remote_code=False)", "import subprocess\nsubprocess.run(['git', *words])", "import re\nre.compile(t)",
    "HOST = '127.0.0.1'\nc = ['mlflow', 'ui', '--host', HOST]", "c = ['-m', 'http.server', '--bind', '127.0.0.1']",
    "import ray\nray.init(include_dashboard=False, _node_ip_address='127.0.0.1')", "import ray\nray.init(address=a)",
    "s.bind(('localhost', 0))", "import ast\nast.literal_eval(t)", '"""/home/someone, as documented."""',
    "record(host=platform.node())", "import tempfile\ntempfile.mkstemp()", "u = 'retrieval/tmp'",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "source"), [(kind, source) for kind, all_ in VIOLATIONS.items() for source in all_])
def test_a_violation_is_found(kind: str, source: str) -> None:
    assert [problem for problem in found(source) if problem.startswith(f"{kind}: ")], found(source)


@pytest.mark.parametrize("source", FINE)
def test_what_is_allowed_is_not_reported(source: str) -> None:
    assert found(source) == []


# In parts, so that this file does not hold what it looks for.
HOSTS = re.compile(
    "|".join(
        rf"{re.escape(name)}\.{top}\b"
        for top, names in {
            "org": ("pypi", "pythonhosted", "npmjs", "debian", "download.pytorch", "anaconda", "yarnpkg"),
            "com": ("npmjs", "yarnpkg", "jfrog", "pypi.nvidia"),
            "io": ("jfrog",),
        }.items()
        for name in names
    )
    + r"|(?:index|find-links|registry)[-_a-z]*[ =:\"']+(?:https?|file)://"
)


def test_no_tracked_file_names_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    texts = {f: f.read_bytes().decode("utf-8", "ignore") for f in files if f.is_file()}
    assert len(texts) > 300
    assert {str(f.relative_to(ROOT)): found_ for f, t in texts.items() if (found_ := HOSTS.findall(t))} == {}


@pytest.mark.parametrize(
    "line", ["url = https://files.pythonhosted" + ".org/x", "--index-url" + " https://example.invalid/simple",
             "registry" + "=http://mirror.invalid", '"resolved": "https://registry.npmjs' + '.org/x.tgz"'],
)  # fmt: skip
def test_a_registry_is_found(line: str) -> None:
    assert HOSTS.search(line)


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_locked_package_is_pinned_and_has_its_hashes(lock: Path) -> None:
    packages = re.findall(r"^[^\s#].*(?:\n[ \t].*)*", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert packages
    for package in packages:
        first, *hashes = package.replace("\\\n", "\n").splitlines()
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+(?: ; .*)?", first.strip()), first
        assert hashes, first
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line.strip()) for line in hashes), first


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = {**extras, "dev": project["project"]["dependencies"] + extras["dev"]}
    wanted["build"] = project["build-system"]["requires"]
    assert {lock.stem for lock in LOCKS} == {*wanted, "torch", "node", "tools"}
    pinned = {lock.stem: set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), flags=re.MULTILINE)) for lock in LOCKS}
    for extra, requirements in wanted.items():
        names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ]", line)[0].lower()) for line in requirements}
        assert names <= pinned[extra] | pinned["dev"] | pinned["torch"], "run requirements/lock"


def test_the_installer_takes_no_package_without_its_hash_but_a_build_of_torch() -> None:
    lines = (ROOT / "requirements" / "install").read_text(encoding="utf-8").splitlines()
    installs = [line.strip() for line in lines if re.search(r"^\s*(?:version=|locked\(\) \{ )?.*\bpip install\b", line)
                and not line.lstrip().startswith("#")]  # fmt: skip
    unchecked = [line for line in installs if "--require-hashes" not in line and "--dry-run" not in line]
    assert unchecked == ['pip install "$pin"', "pip install --no-deps --no-build-isolation --editable ."]
