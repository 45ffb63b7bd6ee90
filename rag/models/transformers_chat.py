"""Any chat model that transformers itself knows, from a local folder and without its code."""

from __future__ import annotations

from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedModel

from rag.errors import ModelFailed
from rag.models.checkpoint import read_config, shards
from rag.models.device import pick_device, pick_dtype
from rag.models.local_chat import ChatTokenizer, LocalChat
from rag.models.template_tokenizer import open_template


class TransformersChat(LocalChat):
    """Chat with a folder of safetensors, a tokenizer and its chat template."""

    @property
    def _llm_type(self) -> str:
        return "transformers"

    def _open(self) -> tuple[ChatTokenizer, PreTrainedModel]:
        config = read_config(self.folder, self.source)
        if config.get("model_type") == "chatglm":
            raise ModelFailed(
                f"{self.folder} is a ChatGLM checkpoint: give the model provider: chatglm in "
                "config.yaml."
            )
        if config.get("quantization_bit"):
            raise ModelFailed(
                f"{self.folder} was quantised by TeamGLM: give the model provider: chatglm in "
                "config.yaml."
            )
        shards(self.folder, self.source)
        device = pick_device(self.device)
        stored = config.get("dtype") or config.get("torch_dtype")
        dtype = pick_dtype(self.dtype, device, str(stored))
        spread: dict[str, Any] = {"device_map": {"": device}}
        if self.memory:
            # transformers reads shard by shard, and has accelerate lay out the devices.
            spread = {"device_map": "auto", "max_memory": dict(self.memory)}
            spread["offload_folder"] = self.offload
        try:
            model = AutoModelForCausalLM.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype,
                **spread,
            )
        except Exception as error:  # transformers raises what its parts happen to raise
            raise ModelFailed(
                f"The chat model {self.name_shown} could not be loaded from {self.folder}: {error}"
            ) from error
        return open_template(self.folder), model
