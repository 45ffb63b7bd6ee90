"""Weights into a model, tensor by tensor, each straight to the device where it belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from rag.errors import ModelFailed
from rag.models.quantisation import quantised_layers

DISK = "disk"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model's weights belong, and in which precision.

    Without `memory` all of it is on `device`. `memory` says how much each device may hold, by
    accelerate's names (`0` is the first GPU, `cpu`); what fits nowhere is read from the folder
    `offload` when it is needed, or refused if that is None.
    """

    device: torch.device
    dtype: torch.dtype
    memory: Mapping[int | str, int | str] = field(default_factory=dict)
    offload: Path | None = None

    def plan(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return the device of each module, `{"": device}` for one device; raise `ModelFailed`."""
        if not self.memory:
            return {"": self.device}
        from accelerate import infer_auto_device_map  # slow to import, rarely needed

        devices: dict[str, Any] = infer_auto_device_map(
            model,
            max_memory={**self.memory},
            no_split_module_classes=list(model._no_split_modules or ()),
            dtype=self.dtype,
        )
        if DISK in devices.values() and self.offload is None:
            raise ModelFailed(
                "The model doesn't fit into the memory that its config allows: raise its `memory`, "
                "or name a folder as `offload`, from which the rest is read."
            )
        return devices


def fill(model: PreTrainedModel, weights: Iterable[tuple[str, torch.Tensor]], place: Place) -> None:
    """Give a model on the meta device its weights, ready to answer; raise `ModelFailed` where they
    don't fit it. No more than one tensor is in memory twice."""
    devices = place.plan(model)
    stored: dict[str, dict[str, Any]] = {}
    unexpected: list[str] = []
    for name, tensor in weights:
        owner, _, leaf = name.rpartition(".")
        try:
            module = model.get_submodule(owner)
            wanted = getattr(module, leaf)
        except AttributeError:
            unexpected.append(name)
            continue
        if wanted.shape != tensor.shape:
            raise ModelFailed(
                f"its {name} has the shape {tuple(tensor.shape)}, where config.json means "
                f"{tuple(wanted.shape)}"
            )
        dtype = place.dtype if isinstance(wanted, nn.Parameter) else wanted.dtype
        device = _device_of(name, devices)
        if device == DISK and place.offload is not None:
            from accelerate.utils import offload_weight

            place.offload.mkdir(parents=True, exist_ok=True)
            stored = offload_weight(tensor.to(dtype), name, str(place.offload), stored)
            continue
        _assign(module, leaf, tensor.to(device=device, dtype=dtype))
    model.tie_weights()
    missing = [
        name
        for name, tensor in [*model.named_parameters(), *model.state_dict().items()]
        if tensor.is_meta and name not in stored
    ]
    if missing or unexpected:
        odd = ", ".join(sorted({*missing, *unexpected})[:3])
        raise ModelFailed(f"they do not fit its config.json: {odd}…")
    model.requires_grad_(False)
    model.train(False)
    _finish(model, devices, stored, place)


def weights_of(model: PreTrainedModel) -> str:
    """Return on which devices a model's weights are, in which precision, and how many bytes."""
    spread = getattr(model, "hf_device_map", None) or {"": model.device}
    devices = ", ".join(sorted({str(device) for device in spread.values()}))
    held = {
        tensor.data_ptr(): tensor.nbytes
        for tensor in [*model.parameters(), *model.buffers()]
        if not tensor.is_meta
    }
    bits = {f"int{layer.bits} in " for layer in quantised_layers(model)}
    dtype = str(model.dtype).removeprefix("torch.")
    return f"on {devices} in {''.join(bits)}{dtype}, {sum(held.values()) / 1e9:,.2f} GB of weights"


def _assign(module: nn.Module, leaf: str, tensor: torch.Tensor) -> None:
    if leaf in module._parameters:
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
    else:
        module._buffers[leaf] = tensor


def _device_of(name: str, devices: Mapping[str, Any]) -> Any:
    """Return the device of the longest module name that this one begins with."""
    while name not in devices and name:
        name = name.rpartition(".")[0]
    return devices[name]


def _finish(
    model: PreTrainedModel, devices: dict[str, Any], stored: Mapping[str, Any], place: Place
) -> None:
    if set(devices.values()) <= {place.device}:
        for layer in quantised_layers(model):
            layer.prepare(place.dtype)
        return
    from accelerate import dispatch_model
    from accelerate.utils import save_offload_index

    if stored:
        save_offload_index({**stored}, str(place.offload))
    dispatch_model(
        model,
        device_map=devices,
        offload_dir=str(place.offload) if stored else None,
        offload_buffers=True,
    )
