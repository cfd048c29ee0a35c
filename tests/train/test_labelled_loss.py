import pytest
import torch
from transformers import LlamaConfig

from data.user_error import UserError
from tests.train.tries import adapted_network, adapter_gradients, random_features, row_by_row_loss
from train.labelled_loss import add_labelled_loss, labelled_loss


def test_beyond_the_bound_the_loss_is_computed_in_parts_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 31, bias=False)
    hidden, targets = torch.randn(23, 8, requires_grad=True), torch.randint(31, (23,))
    whole, num_correct = labelled_loss(head, hidden, targets)
    [wanted] = torch.autograd.grad(whole, hidden)
    largest = []
    head.register_forward_hook(lambda module, inputs, logits: largest.append(logits.numel()))
    monkeypatch.setattr("train.labelled_loss.MAX_LOGITS", 31 * 4)
    parts, num_correct_in_parts = labelled_loss(head, hidden, targets)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts, hidden)[0], wanted)
    assert num_correct_in_parts == num_correct
    assert max(largest) == 31 * 4 and len(largest) == 12  # six parts, each once more for its gradient


def test_a_pass_without_targets_has_a_loss_and_gradients_of_zero() -> None:
    """What a process computes while another has more packs."""
    model = adapted_network(0)
    add_labelled_loss(model.get_base_model())
    nothing = torch.zeros(0, dtype=torch.long)
    loss = model(input_ids=torch.tensor([[1, 2, 3]]), predictors=nothing, targets=nothing).loss
    assert loss.item() == 0
    assert not adapter_gradients(model, loss).any()


def test_without_predictors_the_forward_is_what_it_was() -> None:
    model, features = adapted_network(1), random_features(1)
    before = row_by_row_loss(model, features)
    add_labelled_loss(model.get_base_model())
    assert row_by_row_loss(model, features).item() == before.item()


def test_a_model_whose_logits_are_more_than_a_projection_is_refused() -> None:
    model = adapted_network(0).get_base_model()
    model.config = LlamaConfig(**model.config.to_dict() | {"final_logit_softcapping": 30.0})
    with pytest.raises(UserError, match="final_logit_softcapping"):
        add_labelled_loss(model)
