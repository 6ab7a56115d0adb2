"""Every objective against its closed form on small tensors, and against traps seen in public code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from study.models.losses import sigmoid_contrastive, softmax_contrastive
from study.names import UnknownNameError
from study.objectives import OBJECTIVES, OPTIONS, objective
from study.objectives.base import Batch, ModelInfo, Queue
from study.objectives.dr import distributional_replication
from study.objectives.mcl import multilingual_contrastive
from study.objectives.weighted_loss import WeightedLoss, language_weights

N, D, E, LAYERS = 6, 8, 5, 2


def unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def batch(n: int = N, **changes: Any) -> Any:
    """`Batch` with every field; `Any`, since what a test asks for is there."""
    fields: dict[str, Any] = {
        name: unit(n, D, seed=seed)
        for seed, name in enumerate(["student_x", "student_e", "teacher_x", "teacher_e", "image", "teacher_image"])
    }
    for name in ("student_x", "student_e"):
        fields[name].requires_grad_()
    fields |= {"student_layers": unit(n, LAYERS + 1, E, seed=7), "teacher_layers": unit(n, 5, E + 1, seed=8)}
    return Batch(**(fields | changes))


AROUND = ModelInfo(
    embedding_width=D,
    student_layers=LAYERS,
    student_width=E,
    teacher_layers=4,
    teacher_width=E + 1,
    image_text_loss=lambda images, texts: softmax_contrastive(images, texts, 10.0),
)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_what_params_yaml_is_checked_by_is_what_the_objective_takes(name: str) -> None:
    assert OPTIONS[name] is objective(name).Options


def make(name: str, **options: Any) -> Any:
    kind = objective(name)
    return kind(kind.Options(**options), AROUND)


def squared(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for p, q in zip(a, b, strict=True)])


def test_fd_is_the_squared_distance_summed_over_the_width() -> None:
    v = batch()
    torch.testing.assert_close(make("fd")(v), squared(v.student_x, v.teacher_x))


def test_fd_layers_adds_the_mean_over_matched_layers() -> None:
    v, fd = batch(), make("fd", layers=True)
    assert fd.matches == [2, 4]
    expected = squared(v.student_x, v.teacher_x)
    assert v.student_layers is not None
    assert v.teacher_layers is not None
    for own, theirs, layer_map in zip((1, 2), (2, 4), fd.maps, strict=True):
        mapped = v.student_layers[:, own] @ layer_map.weight.T + layer_map.bias
        expected = expected + squared(mapped, v.teacher_layers[:, theirs]) / 2
    torch.testing.assert_close(fd(v), expected)


def test_ed_sends_both_captions_to_the_english_one() -> None:
    v = batch()
    assert v.student_e is not None
    expected = squared(v.student_e, v.teacher_e) + squared(v.student_x, v.teacher_e)
    torch.testing.assert_close(make("ed")(v), expected)


@pytest.mark.parametrize("terms", ["ed+self", "self"])
def test_sd_adds_the_students_own_distance(terms: str) -> None:
    v = batch()
    assert v.student_e is not None
    expected = squared(v.student_x, v.student_e)
    if terms == "ed+self":
        expected = expected + make("ed")(v)
    torch.testing.assert_close(make("sd", terms=terms)(v), expected)


def test_sd_can_hold_the_english_side_still() -> None:
    moving, held = batch(), batch()
    make("sd", terms="self")(moving).sum().backward()
    make("sd", terms="self", stop_gradient=True)(held).sum().backward()
    assert moving.student_e is not None
    assert held.student_e is not None
    assert moving.student_e.grad is not None
    assert held.student_e.grad is None
    assert held.student_x.grad is not None


@pytest.mark.parametrize(
    ("key", "field"), [("english", "teacher_e"), ("same_language", "teacher_x"), ("image", "teacher_image")]
)
def test_mcl_is_infonce_with_the_declared_key(key: str, field: str) -> None:
    v, tau = batch(), 0.2
    keys = getattr(v, field)
    expected = []
    for i in range(N):
        scores = [math.exp((v.student_x[i] @ keys[j]).item() / tau) for j in range(N)]
        expected.append(-math.log(scores[i] / sum(scores)))
    torch.testing.assert_close(make("mcl", key=key, tau=tau)(v), torch.tensor(expected))


def test_mcl_divides_by_the_temperature_once() -> None:
    v = batch()
    once = multilingual_contrastive(v.student_x, v.teacher_e, 0.5)
    torch.testing.assert_close(once, multilingual_contrastive(2 * v.student_x, v.teacher_e, 1.0))


def test_mcl_bank_adds_negatives_of_earlier_batches() -> None:
    mcl, first = make("mcl", bank=4), batch()
    alone = mcl(first)
    torch.testing.assert_close(alone, make("mcl")(first))
    assert (mcl(first) > alone).all()
    assert int(mcl.bank.filled) == 4


def test_dr_is_the_mean_of_two_cross_entropies_over_the_queue() -> None:
    v, dr = batch(), make("dr", tau_teacher=0.1, tau_student=0.3, queue=4)
    queue = v.teacher_e[-4:]  # the current batch is in the queue, the oldest fall out
    assert v.student_e is not None
    expected = []
    for i in range(N):
        target = [math.exp((v.teacher_e[i] @ q).item() / 0.1) for q in queue]
        target = [t / sum(target) for t in target]
        both = 0.0
        for side in (v.student_e[i], v.student_x[i]):
            own = [math.exp((side @ q).item() / 0.3) for q in queue]
            both += 0.5 * -sum(t * math.log(o / sum(own)) for t, o in zip(target, own, strict=True))
        expected.append(both)
    torch.testing.assert_close(dr(v), torch.tensor(expected))


def test_dr_is_smallest_where_the_student_is_the_teacher() -> None:
    v, taus = batch(), (0.1, 0.1)
    same = distributional_replication(v.teacher_e, v.teacher_e, v.teacher_e, *taus)
    other = distributional_replication(v.student_x, v.teacher_e, v.teacher_e, *taus)
    target = F.softmax(v.teacher_e @ v.teacher_e.T / 0.1, dim=-1)
    torch.testing.assert_close(same, -(target * target.log()).sum(dim=-1))
    assert (other > same).all()


def test_the_queue_is_first_in_first_out_and_travels_with_the_state() -> None:
    queue = Queue(3, 1)
    for number in range(5):
        queue.push(torch.tensor([[float(number)]]))
    assert queue.content().flatten().tolist() == [2.0, 3.0, 4.0]
    again = Queue(3, 1)
    again.load_state_dict(queue.state_dict())
    assert again.content().flatten().tolist() == [2.0, 3.0, 4.0]
    queue.push(torch.arange(7.0).view(7, 1))
    assert queue.content().flatten().tolist() == [4.0, 5.0, 6.0]


def test_fd_of_the_english_view_compares_the_english_captions() -> None:
    v, term = batch(), make("fd", view="english")
    assert v.student_e is not None
    torch.testing.assert_close(term(v), squared(v.student_e, v.teacher_e))


def test_fd_of_the_english_view_matches_the_layers_of_the_caption_in_its_own_language() -> None:
    v = batch()
    own, english = (make("fd", view=view, layers=True) for view in ("own", "english"))
    english.load_state_dict(own.state_dict())
    assert v.student_e is not None
    layers = own(v) - squared(v.student_x, v.teacher_x)
    torch.testing.assert_close(english(v), squared(v.student_e, v.teacher_e) + layers)


def test_the_english_view_reads_no_caption_in_another_language() -> None:
    alone = batch(student_x=None)
    torch.testing.assert_close(make("fd", view="english")(alone), make("fd", view="english")(batch()))
    torch.testing.assert_close(make("dr", alpha=1.0)(alone), make("dr", alpha=1.0)(batch()))
    torch.testing.assert_close(make("dr", alpha=0.0)(batch(student_e=None)), make("dr", alpha=0.0)(batch()))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_alpha_weighs_the_english_term_of_dr(alpha: float) -> None:
    v = batch()
    assert v.student_e is not None
    english = distributional_replication(v.student_e, v.teacher_e, v.teacher_e, 0.07, 0.05)
    other = distributional_replication(v.student_x, v.teacher_e, v.teacher_e, 0.07, 0.05)
    torch.testing.assert_close(make("dr", queue=N, alpha=alpha)(v), alpha * english + (1 - alpha) * other)


def test_alpha_of_a_half_is_the_plain_mean_bit_for_bit() -> None:
    v = batch()
    assert v.student_e is not None
    english = distributional_replication(v.student_e, v.teacher_e, v.teacher_e, 0.07, 0.05)
    other = distributional_replication(v.student_x, v.teacher_e, v.teacher_e, 0.07, 0.05)
    assert torch.equal(make("dr", queue=N)(v), (english + other) / 2)


@pytest.mark.parametrize(("option", "value"), [("alpha", -0.1), ("alpha", 1.1), ("start", "full"), ("queue", 0)])
def test_options_of_dr_outside_their_range_are_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(ValidationError, match=option):
        objective("dr").Options(**{option: value})  # type: ignore[arg-type]


def test_a_queue_that_starts_from_the_corpus_holds_it_and_then_the_batch() -> None:
    corpus, v, asked = unit(5, D, seed=12), batch(), []

    def sample(count: int) -> Tensor:
        asked.append(count)
        return corpus

    term = make("dr", queue=9, start="corpus")
    term.start(sample)
    torch.testing.assert_close(term.queue.content(), corpus)
    everything = torch.cat([corpus, v.teacher_e])[-9:]
    assert v.student_e is not None
    expected = [distributional_replication(s, v.teacher_e, everything, 0.07, 0.05) for s in (v.student_e, v.student_x)]
    torch.testing.assert_close(term(v), (expected[0] + expected[1]) / 2)
    empty = make("dr", queue=9)
    empty.start(sample)
    assert int(empty.queue.filled) == 0
    assert asked == [9]


def test_a_method_starts_the_text_terms_from_captions_and_the_image_terms_from_images() -> None:
    captions, images = unit(4, D, seed=13), unit(3, D, seed=14)
    both = method({"dr": {"queue": 8, "start": "corpus"}}, images=True)
    both.start(lambda count: captions, lambda count: images)
    torch.testing.assert_close(both.text["dr"].queue.content(), captions)  # type: ignore[operator,union-attr]
    torch.testing.assert_close(both.image["dr"].queue.content(), images)  # type: ignore[operator,union-attr]


def test_evaluation_mode_leaves_the_queue_alone() -> None:
    dr = make("dr", queue=8)
    dr(batch())
    dr.eval()
    dr(batch())
    assert int(dr.queue.filled) == N


def test_softmax_loss_is_the_mean_of_both_directions() -> None:
    a, b = unit(N, D, seed=1), unit(N, D, seed=2)
    logits = 5.0 * a @ b.T
    expected = -(torch.log_softmax(logits, 1).diagonal() + torch.log_softmax(logits, 0).diagonal()) / 2
    torch.testing.assert_close(softmax_contrastive(a, b, 5.0), expected)


def test_sigmoid_loss_is_binary_cross_entropy_over_all_pairs() -> None:
    a, b = unit(N, D, seed=1), unit(N, D, seed=2)
    logits = 5.0 * a @ b.T - 2.0
    expected = F.binary_cross_entropy_with_logits(logits, torch.eye(N), reduction="none").sum(dim=1)
    torch.testing.assert_close(sigmoid_contrastive(a, b, 5.0, -2.0), expected)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_the_gradient_reaches_the_student_and_nothing_else(name: str) -> None:
    v = batch()
    teachers = [v.teacher_x, v.teacher_e, v.teacher_image]
    for tensor in teachers:
        tensor.requires_grad_(False)
    term = make(name)
    loss = term(v)
    assert loss.shape == (N,)
    loss.sum().backward()
    assert v.student_x.grad is not None
    assert v.student_x.grad.abs().sum() > 0
    assert v.student_e is not None
    assert (v.student_e.grad is not None) == ("student_e" in objective(name).Options().needs)
    assert all(tensor.grad is None for tensor in teachers)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"task"}))
def test_a_perfect_student_has_no_gradient_towards_the_squared_objectives(name: str) -> None:
    teacher = unit(N, D, seed=3)
    perfect = teacher.clone().requires_grad_()
    v = batch(student_x=perfect, student_e=perfect, teacher_x=teacher, teacher_e=teacher)
    loss = make(name)(v)
    if name in ("fd", "ed", "sd"):
        torch.testing.assert_close(loss, torch.zeros(N))
    else:
        assert (loss > 0).all()


def method(declared: dict[str, dict[str, Any]], images: bool = False) -> WeightedLoss:
    return WeightedLoss(declared, AROUND, images)


def test_a_method_is_the_declared_weighted_sum() -> None:
    v, ones = batch(), torch.ones(N)
    both = method({"fd": {"weight": 2.0}, "mcl": {"weight": 0.5}})(v, ones)
    expected = 2.0 * make("fd")(v).mean() + 0.5 * make("mcl")(v).mean()
    torch.testing.assert_close(both["loss"], expected)
    assert set(both) == {"loss", "fd", "mcl"}


def test_item_weights_multiply_each_items_loss() -> None:
    v, w = batch(), torch.tensor([3.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    torch.testing.assert_close(method({"fd": {}})(v, w)["loss"], (w * make("fd")(v)).mean())


def test_a_trained_image_tower_gets_the_same_loss_with_the_image() -> None:
    v, own = batch(), unit(N, D, seed=11)
    out = method({"fd": {}}, images=True)(v, torch.ones(N), own)
    torch.testing.assert_close(out["fd_image"], squared(own, v.teacher_image).mean())
    torch.testing.assert_close(out["loss"], out["fd"] + out["fd_image"])
    assert "task_image" not in method({"task": {}}, images=True)(v, torch.ones(N), own)


@pytest.mark.parametrize(
    ("declared", "captions"),
    [
        ({"task": {}}, {"student_x"}),
        ({"fd": {}}, {"student_x"}),
        ({"mcl": {}}, {"student_x"}),
        ({"ed": {}}, {"student_x", "student_e"}),
        ({"sd": {"terms": "self"}}, {"student_x", "student_e"}),
        ({"dr": {}}, {"student_x", "student_e"}),
        ({"dr": {"alpha": 1.0}}, {"student_e"}),
        ({"dr": {"alpha": 0.0}}, {"student_x"}),
        ({"fd": {"view": "english"}}, {"student_e"}),
        ({"fd": {"view": "english"}, "mcl": {}}, {"student_x", "student_e"}),
        ({"fd": {"view": "english", "layers": True}}, {"student_x", "student_e", "layers"}),
    ],
)
def test_captions_an_item_follow_from_what_the_terms_need(
    declared: dict[str, dict[str, Any]], captions: set[str]
) -> None:
    assert method(declared).needs == captions
    assert method(declared).captions_per_item == len(captions - {"layers"})


@given(st.lists(st.sampled_from(["en", "de", "sw"]), min_size=1, max_size=60), st.floats(0, 1))
def test_language_weights_have_mean_one_and_follow_the_power(languages: list[str], alpha: float) -> None:
    import numpy as np

    codes = np.asarray(languages)
    weights = language_weights(codes, alpha)
    assert weights.mean() == pytest.approx(1.0)
    counts = {code: int((codes == code).sum()) for code in set(languages)}
    first = languages[0]
    for code, weight in zip(languages, weights, strict=True):
        assert weight / weights[0] == pytest.approx((counts[code] / counts[first]) ** -alpha)
    if alpha == 1.0:
        totals = [weights[codes == code].sum() for code in counts]
        assert totals == pytest.approx([totals[0]] * len(totals))


def test_alpha_outside_its_range_is_refused() -> None:
    import numpy as np

    with pytest.raises(ValueError, match="must be 0"):
        language_weights(np.asarray(["en"]), 1.5)


def test_an_unknown_objective_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mcl'"):
        objective("mlc")
