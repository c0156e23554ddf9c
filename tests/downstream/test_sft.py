"""Supervised fine-tuning: what the loss counts, what is cut, and that a run repeats."""

import math
from dataclasses import replace
from itertools import pairwise

import items
import pytest
import torch
import torch.nn.functional as F
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoModelForCausalLM

from repro.common.errors import UserError
from repro.config.settings import FinetuneSettings
from repro.downstream import harness, sft

SETTINGS = FinetuneSettings(epochs=1, batch_size=4, max_tokens=64, max_lr=3e-3, warmup_share=0.1)
EXAMPLES = [(f"Question: tree number {n}?\nAnswer:", f" {items.WORDS[n % 16]}") for n in range(10)]
TOKENIZER = items.tokenizer()


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def _answer_nll(model: torch.nn.Module, prompt: str, answer: str) -> tuple[float, int]:
    """(summed nats, tokens) of an answer, one example at a time and without padding."""
    context, whole = TOKENIZER.encode(prompt), TOKENIZER.encode(prompt + answer)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([whole])).logits[0]
    scores = F.log_softmax(logits[len(context) - 1 : len(whole) - 1].double(), -1)
    targets = torch.tensor(whole[len(context) :])
    return -scores[range(len(targets)), targets].sum().item(), len(targets)


def test_the_loss_is_the_mean_over_answer_tokens_alone() -> None:
    model = items.model()
    # Answers of very different lengths: a mean over examples, or over all tokens, would differ.
    examples = [
        ("Question: a?\nAnswer:", " ash"),
        ("Question: what is it, of all the trees?\nAnswer:", " birch cedar elm"),
    ]
    parts = [_answer_nll(model, prompt, answer) for prompt, answer in examples]
    expected = sum(nll for nll, _ in parts) / sum(tokens for _, tokens in parts)
    losses = sft.finetune(model, TOKENIZER, examples, SETTINGS, seed=0)
    assert losses == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("kind", ["gpt2", "gemma2"])
def test_the_loss_is_that_of_the_models_own_logits(kind: str) -> None:
    """Gemma 2 caps what its output layer makes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 300}
        capped = {"num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 64, "final_logit_softcapping": 0.1}
        own = {"gpt2": {}, "gemma2": capped}[kind]
        tokens = {"pad_token_id": None, "bos_token_id": 0, "eos_token_id": 0}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **small, **own, **tokens)).eval()
    nll, tokens_of = _answer_nll(model, *EXAMPLES[0])
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses = sft.finetune(model, TOKENIZER, EXAMPLES[:1], SETTINGS, seed=0)
    assert losses == [pytest.approx(nll / tokens_of, rel=1e-5)]


def test_prompt_tokens_and_padding_carry_no_label() -> None:
    batch = [sft.Encoded([5, 6, 7], [8, 9]), sft.Encoded([4], [3])]
    inputs, labels = sft.collate(batch, torch.device("cpu"))
    assert inputs.tolist() == [[5, 6, 7, 8], [4, 0, 0, 0]]
    assert labels.tolist() == [[-100, -100, 8, 9], [3, -100, -100, -100]]


def test_a_split_batch_trains_like_a_whole_one() -> None:
    whole, split = items.model(), items.model()
    first = sft.finetune(whole, TOKENIZER, EXAMPLES, SETTINGS, seed=0)
    second = sft.finetune(split, TOKENIZER, EXAMPLES, SETTINGS, seed=0, micro_batch=1)
    assert second == pytest.approx(first, rel=1e-4)
    for a, b in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)


def test_bfloat16_trains_float32_weights_to_nearly_the_same_losses() -> None:
    model = items.model()
    losses = sft.finetune(model, TOKENIZER, EXAMPLES, SETTINGS, seed=0, dtype="bfloat16")
    expected = sft.finetune(items.model(), TOKENIZER, EXAMPLES, SETTINGS, seed=0)
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.02)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_answers_are_cut_into_tokens_as_lm_eval_cuts_them() -> None:
    lm = HFLM(pretrained=items.model(), tokenizer=TOKENIZER)
    pairs = [*EXAMPLES, ("No blank", "between"), ("摘要：树\n答案：", "是"), ("A", " apple pear maple")]  # noqa: RUF001
    pairs += [("Answer: ", "apple"), ("Answer:\n\n", "apple pear"), ("Answer:  ", " apple")]
    for (prompt, answer), encoded in zip(pairs, sft.encode(TOKENIZER, pairs, 64), strict=True):
        assert (encoded.prompt, encoded.answer) == lm._encode_pair(prompt, answer)


def test_an_empty_prompt_is_what_texts_begin_with_as_in_lm_eval() -> None:
    lm = HFLM(pretrained=items.model(), tokenizer=TOKENIZER)
    (encoded,) = sft.encode(TOKENIZER, [("", "apple pear")], 64)
    assert encoded.prompt == [lm.prefix_token_id]
    assert encoded.answer == lm.tok_encode("apple pear")


def test_an_answer_without_text_is_refused_with_its_prompt() -> None:
    with pytest.raises(UserError, match=r"the answer '' to 'Answer:', which adds no token"):
        sft.encode(TOKENIZER, [("Answer:", "")], 64)


def test_a_long_example_loses_the_beginning_of_its_prompt_and_nothing_of_its_answer() -> None:
    prompt, answer = "maple oak pine " * 20 + "end?", " willow rowan"
    whole = sft.encode(TOKENIZER, [(prompt, answer)], 1000)[0]
    cut = sft.encode(TOKENIZER, [(prompt, answer)], 24)[0]
    assert cut.answer == whole.answer
    assert cut.prompt == whole.prompt[-(24 - len(cut.answer)) :]
    tight = sft.encode(TOKENIZER, [(prompt, answer)], 2)[0]
    assert (tight.prompt, tight.answer) == (whole.prompt[-1:], whole.answer)


@pytest.mark.parametrize(("warmup_share", "total"), [(0.1, 20), (0.0, 7), (1.0, 5), (0.05, 1)])
def test_the_learning_rate_rises_to_the_maximum_and_falls_towards_zero(warmup_share: float, total: int) -> None:
    settings = replace(SETTINGS, max_lr=1.0, warmup_share=warmup_share)
    rates = [sft.learning_rate(settings, step, total) for step in range(total)]
    peak = max(math.ceil(warmup_share * total), 1) - 1
    assert rates[peak] == 1.0
    assert all(before < after for before, after in pairwise(rates[: peak + 1]))
    after = rates[max(peak, math.ceil(warmup_share * total)) :]
    assert all(before > after for before, after in pairwise(after))
    assert all(0 < rate <= 1 for rate in rates)


def test_the_learning_rate_has_known_values() -> None:
    settings = replace(SETTINGS, max_lr=0.8, warmup_share=0.2)
    rates = [sft.learning_rate(settings, step, 10) for step in range(10)]
    assert rates[:3] == pytest.approx([0.4, 0.8, 0.8])
    assert rates[6] == pytest.approx(0.4)
    assert rates[9] == pytest.approx(0.4 * (1 + math.cos(math.pi * 7 / 8)))


def test_every_example_is_seen_once_an_epoch_in_an_order_of_the_seeds_own() -> None:
    settings = replace(SETTINGS, epochs=3, max_lr=1e-12)
    calls: list[tuple[int, int]] = []
    model = items.model()
    losses = sft.finetune(
        model, TOKENIZER, EXAMPLES, settings, 0, lambda step, total, loss: calls.append((step, total))
    )
    assert calls == [(step, 9) for step in range(1, 10)]
    # At a learning rate of nothing, an epoch's losses, each times its tokens, make up the loss of all examples.
    sizes = [len(example.answer) for example in sft.encode(TOKENIZER, EXAMPLES, 64)]
    order = torch.Generator().manual_seed(0)
    seen = []
    for epoch in range(3):
        permutation = torch.randperm(10, generator=order).tolist()
        seen.append(permutation)
        tokens = [sum(sizes[i] for i in permutation[start : start + 4]) for start in (0, 4, 8)]
        total = sum(loss * n for loss, n in zip(losses[3 * epoch : 3 * epoch + 3], tokens, strict=True))
        assert total == pytest.approx(sum(_answer_nll(model, *example)[0] for example in EXAMPLES), rel=1e-5)
    assert seen[0] != seen[1] != seen[2]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    results = []
    for seed in (1, 1, 2):
        torch.rand(3)  # what the process drew before must not matter
        model = items.model()
        losses = sft.finetune(model, TOKENIZER, EXAMPLES, SETTINGS, seed=seed)
        results.append((losses, _weights(model)))
    assert results[0][0] == results[1][0] != results[2][0]
    assert _same(results[0][1], results[1][1])
    assert not _same(results[0][1], results[2][1])


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    model = items.model()
    sft.finetune(model, TOKENIZER, EXAMPLES, SETTINGS, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training


def test_a_model_learns_the_answers_it_is_shown() -> None:
    model = items.model()
    losses = sft.finetune(model, TOKENIZER, EXAMPLES, replace(SETTINGS, epochs=60, max_lr=1e-2), seed=0)
    assert losses[-1] < 0.1 < losses[0]
    for prompt, answer in EXAMPLES:
        right = _answer_nll(model, prompt, answer)[0]
        assert all(right < _answer_nll(model, prompt, other)[0] for _, other in EXAMPLES if other != answer)


def test_a_loss_that_is_no_number_stops_with_the_setting_to_change() -> None:
    model = items.model()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"finetune\.max_lr=0\.003.*nan at step 1 of 3.*lower finetune\.max_lr"):
        sft.finetune(model, TOKENIZER, EXAMPLES, SETTINGS, seed=0)


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(UserError, match=r"no task of `tasks\.names` has a training split"):
        sft.finetune(items.model(), TOKENIZER, [], SETTINGS, seed=0)


def test_a_model_with_learned_positions_is_given_no_more_tokens_than_it_has() -> None:
    """It ended in an IndexError: GPT-2 has as many positions as the stream's sequences have tokens."""
    small = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 300, "bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", n_positions=24, **small))
    assert sft.window(model) == 24
    assert sft.window(items.model(sequence_length=24)) is None
    prompt, answer = EXAMPLES[0]
    assert len(TOKENIZER.encode(prompt * 3)) > 24
    assert len(sft.finetune(model, TOKENIZER, [(prompt * 3, answer)], SETTINGS, seed=0)) == 1
    with pytest.raises(UserError, match=r"stream\.sequence_length=24: a task has an answer of .* 24 learned positions"):
        sft.finetune(model, TOKENIZER, [(prompt, answer * 30)], SETTINGS, seed=0)
    lm = harness.WindowedLM(pretrained=model, tokenizer=TOKENIZER, batch_size=2, max_length=24)
    with pytest.raises(UserError, match="24 learned positions"):
        lm._loglikelihood_tokens([(("a", "b"), [1], list(range(40)))], disable_tqdm=True)
