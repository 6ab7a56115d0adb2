"""Stage `tune@arch-size-method`: a cell's settings, chosen on the validation split (`make tune`).

One sequential seeded Optuna study for each architecture, size and method, with the same number of trials
for each, the control included; its seeds are never evaluated. The journal beside it makes it resumable: a
killed trial is dropped, and the sampler's seed follows the number of finished trials, so it repeats nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.resolve import tuning_code
from pipeline.tuned import apply, tuned_for
from pipeline.work.device import execution, torch_device
from pipeline.work.inputs import open_corpus, open_teacher
from study.config.params import Params, read
from study.objectives import options_of
from study.seeds import entropy


def suggested(trial: Any, plan: dict[str, Any]) -> dict[str, float]:
    """Values of one trial; every range is searched on a log scale."""
    ranges = {"learning_rate": plan["learning_rate"], **plan["search"]}
    return {name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in ranges.items()}


def declared(plan: dict[str, Any]) -> dict[str, float]:
    """What params.yaml declares for the searched values.

    Always the first trial, so that tuning can only choose what is at least as good on validation.
    """
    given = plan["declared"]
    values = {"learning_rate": given["spec"]["training"]["learning_rate"]}
    for key in plan["search"]:
        name, _, option = key.partition(".")
        values[key] = getattr(options_of(name)(**given["objectives"][name]), option)
    return values


def score(plan: dict[str, Any], values: dict[str, float], device: str) -> float:
    """Validation mAP@10 of both directions, mean over languages and tuning seeds."""
    from study.config.size import scale_of
    from study.config.student import StudentSpec
    from study.distill.student import StudentConfig, distil
    from study.eval.evaluation import average_precision, images_of

    settled = apply(plan["declared"], values)
    arch, where = plan["arch"], torch_device(device)
    teacher, corpus = open_teacher(arch), open_corpus()
    scores = []
    for seed in plan["seeds"]:
        spec = StudentSpec.model_validate(settled["spec"])
        config = StudentConfig(arch, plan["size"], scale_of(settled), seed, settled["objectives"], spec)
        student, _, _ = distil(config, teacher, corpus, paths.EMBEDDINGS / arch, where)
        images = images_of(student, corpus, "validation", where)
        scores.append(average_precision(student, corpus, images, "validation", where))
    return sum(scores) / len(scores)


def search_of(params: Params, arch: str, size: str, method: str) -> dict[str, Any]:
    """What determines a cell's search."""
    tuning = params.tuning
    return {
        "arch": arch,
        "size": size,
        "method": method,
        "seeds": tuning.seeds,
        "trials": tuning.trials,
        "learning_rate": tuning.learning_rate,
        "search": tuning.search.get(method, {}),
        "declared": tuned_for(params, arch, size, method),
        "values": tuning.values,
        "code": tuning_code(params, arch, size, method),
    }


def run(arch: str, size: str, method: str, device: str | None = None) -> None:
    """Search, or go on where a search was stopped.

    Args:
        arch: an architecture of the grid.
        size: a size of it.
        method: a method of it.
        device: as torch names it; left out, what `execution` declares.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    from study.divergence import TrainingError

    name = f"{arch}-{size}-{method}"
    stage.limit_threads(execution().threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = search_of(read(paths.PARAMS), arch, size, method)
    # More trials go on with the same journal; other code or another declaration starts a new one.
    searched = {name: value for name, value in plan.items() if name != "trials"}
    key = stage.declared_hash(searched, (paths.TEACHERS / arch / "fingerprint").read_text())
    journal = stage.scratch("tune", f"{key}.journal")
    journal.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    search = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    while (done := len(search.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL)))) < plan["trials"]:
        search.sampler = optuna.samplers.TPESampler(
            seed=entropy("tune", arch, size, method, done) % 2**32, n_startup_trials=6
        )
        if done == 0:
            search.enqueue_trial(declared(plan))
        trial = search.ask()
        values = suggested(trial, plan)
        shown = ", ".join(f"{name} {number:.3g}" for name, number in values.items())
        try:
            value = score(plan, values, device or execution().device)
        except TrainingError as error:
            search.tell(trial, state=TrialState.FAIL)
            print(f"tune {name}: trial {done + 1} of {plan['trials']}: {shown} failed: {error}", flush=True)
            continue
        search.tell(trial, value)
        print(f"tune {name}: trial {done + 1} of {plan['trials']}: {shown} -> {value:.4f}", flush=True)
    stage.write_json(Path(plan["values"]) / f"{name}.json", outcome(search, plan))


def outcome(search: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """What is committed: the chosen values and every trial."""
    trials = [t for t in search.trials if t.value is not None]
    best = max(trials, key=lambda t: (t.value, -t.number))
    return {
        "arch": plan["arch"],
        "size": plan["size"],
        "method": plan["method"],
        "seeds": plan["seeds"],
        "declared": plan["declared"],
        "measure": "validation map@10, mean of directions, languages and seeds",
        "best": {name: float(f"{value:.6g}") for name, value in best.params.items()},
        # Numbered anew: a trial that was killed has used a number up.
        "trials": [{"number": n, "value": round(t.value, 6), **t.params} for n, t in enumerate(trials)],
    }
