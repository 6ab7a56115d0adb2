"""What the code must not do, found in its syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
"""Modules that run what they read."""
SHELL = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
}
SHELLS = {"sh", "bash", "dash", "zsh", "cmd", "cmd.exe", "powershell"}
STARTERS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
YAML = {f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all")}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
HOSTS = {"host", "bind", "server_name", "dashboard_host", "node_ip_address", "_node_ip_address"}
SERVING = {
    "run",
    "serve",
    "init",
    "start",
    "launch",
    "Config",
    "create_server",
    "start_server",
    "run_simple",
    "run_app",
}
"""Last parts of the names of functions whose `host` is where they listen."""
ABSOLUTE = re.compile(r"/(?:bin|data|dev|etc|home|mnt|opt|proc|root|srv|sys|tmp|usr|var|work|Users)(?:/|$)|[A-Za-z]:\\")


def found(source: str) -> list[str]:
    """One line for every part of a module's source that is forbidden: its kind, a colon, what and in which line."""
    return list(_Module(ast.parse(source)).problems())


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.names: dict[str, str] = {}
        """Imported name -> what it is, with dots."""
        self.strings: dict[str, str] = {}
        """Name that is given a string at the top of the module -> the string."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.names |= {a.asname: a.name for a in node.names if a.asname}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self.names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                self.strings |= {t.id: str(node.value.value) for t in node.targets if isinstance(t, ast.Name)}
        self.texts = set(map(id, _docstrings(tree)))

    def problems(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from self._import(node)
            elif isinstance(node, ast.Call):
                yield from (f"{line}, line {node.lineno}" for line in self._call(node))
            elif isinstance(node, ast.List):
                yield from (f"{line}, line {node.lineno}" for line in self._words(node))
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in ("trust_remote_code", "allow_pickle"):
                        yield from (f"{line}, line {node.lineno}" for line in self._flag(str(key.value), value))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.texts:
                if ABSOLUTE.match(node.value):
                    yield f"path: {node.value!r}, line {node.lineno}"
                if node.value in ("0.0.0.0", "::"):
                    yield f"binding: {node.value!r}, line {node.lineno}"

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for module in modules:
            if module.partition(".")[0] in UNPICKLE:
                yield f"unpickling: {module}, line {node.lineno}"

    def _call(self, node: ast.Call) -> Iterator[str]:
        called, given = self._dotted(node.func), {k.arg: k.value for k in node.keywords if k.arg}
        last = called.rpartition(".")[2]
        if called == "torch.load" and not _is(given.get("weights_only"), True):
            yield "unpickling: torch.load without weights_only=True"
        if last in ("read_pickle", "to_pickle") or called in ("numpy.core.multiarray.unpickle",):
            yield f"unpickling: {last}"
        if called in YAML and self._dotted(given.get("Loader", node.args[1] if len(node.args) > 1 else None)) not in (
            SAFE_LOADERS
        ):
            yield f"YAML: {called}"
        if last == "YAML" and _is(given.get("typ"), "unsafe"):
            yield "YAML: typ='unsafe'"
        for name in ("trust_remote_code", "allow_pickle"):
            if name in given:
                yield from self._flag(name, given[name])
        if called in SHELL or ("shell" in given and not _is(given["shell"], False)):
            yield f"shell: {called}"
        if called in STARTERS and node.args and isinstance(node.args[0], (ast.Constant, ast.JoinedStr, ast.BinOp)):
            yield f"shell: {called} of words that are not a list"
        if called in ("eval", "exec", "compile", "__import__") or (last == "eval" and (node.args or given)):
            yield f"code: {called}"
        if called == "tempfile.mktemp":
            yield f"temporary: {called}"
        yield from self._listens(called, last, node, given)

    def _flag(self, name: str, value: ast.expr) -> Iterator[str]:
        if not _is(value, False):
            yield f"{'remote code' if name == 'trust_remote_code' else 'unpickling'}: {name}={ast.unparse(value)}"

    def _listens(self, called: str, last: str, node: ast.Call, given: dict[str, ast.expr]) -> Iterator[str]:
        for name in HOSTS & set(given):
            if last in SERVING and not self._loopback(given[name]):
                yield f"binding: {last}({name}={ast.unparse(given[name])})"
        place = node.args[0] if node.args else None
        listening = last == "bind" or last.endswith("Server")
        if listening and isinstance(place, ast.Tuple) and not self._loopback(place.elts[0]):
            yield f"binding: {last}({ast.unparse(place)})"
        # A Ray of this machine's own; with an address it is a cluster that somebody else started.
        if called == "ray.init" and "address" not in given:
            if not _is(given.get("include_dashboard"), False) and not self._loopback(given.get("dashboard_host")):
                yield "binding: ray.init without include_dashboard=False"
            if not self._loopback(given.get("_node_ip_address")):
                yield "binding: ray.init without a loopback _node_ip_address"

    def _words(self, node: ast.List) -> Iterator[str]:
        """A command's words."""
        words = [e.value if isinstance(e, ast.Constant) else None for e in node.elts]
        if words and words[0] in SHELLS and "-c" in words:
            yield f"shell: {words[0]} -c"
        wanted = "--bind" if "http.server" in words else "--host"
        serves = "http.server" in words or ("mlflow" in words and {"ui", "server"} & set(words)) or wanted in words
        if serves:
            where = words.index(wanted) + 1 if wanted in words else len(words)
            if where >= len(words) or not self._loopback(node.elts[where]):
                yield f"binding: {' '.join(str(w) for w in words if w)} without {wanted} 127.0.0.1"

    def _loopback(self, node: ast.expr | None) -> bool:
        if isinstance(node, ast.Name):
            return self.strings.get(node.id) in LOOPBACK
        return isinstance(node, ast.Constant) and node.value in LOOPBACK

    def _dotted(self, node: ast.expr | None) -> str:
        """`np.load` as numpy.load, as far as it is a name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self._dotted(node.value)}.{node.attr}"
        return ""


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value


def _docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    """Strings that stand alone: they document and do nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
