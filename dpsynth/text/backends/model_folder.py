"""A model's files: found without a download, read without running or unpickling anything, and told apart by a digest.

Not guaranteed: that a hub id names the same files tomorrow; the digest says whether it did.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dpsynth.core.errors import ModelError

FILES = ("*.safetensors", "*.json", "tokenizer.model", "merges.txt", "vocab.txt")


def folder_of(model: str, *, local_files_only: bool) -> Path:
    """Where the model's files are.

    Args:
        model: a folder, or an id on the hub such as `owner/name`.
        local_files_only: whether to look into the local cache alone.

    Raises:
        ModelError: they are not there.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=list(FILES), local_files_only=local_files_only))
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{model!r} is no folder and is not in this machine's cache of models"
            + (", and nothing is downloaded unless it is asked for." if local_files_only else ", or the hub is away."),
            "Give a folder, or allow the download with local_files_only=False (--download).",
        ) from None
    except HFValidationError:
        raise ModelError(f"{model!r} is no folder and no id of a model.", "Give a folder or owner/name.") from None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{model!r} could not be downloaded ({type(error).__name__}).", "Check its name and the connection."
        ) from None


def read_network(folder: Path) -> Any:
    """The network in float32, every weight from the file.

    Raises:
        ModelError: no safetensors, a class that transformers does not have, or weights that do not fit.
    """
    import torch
    from safetensors import SafetensorError

    load_library()
    from transformers import AutoModelForCausalLM

    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"The folder of {folder.name!r} holds no .safetensors file; other formats can run code when opened.",
            "Convert the weights with save_pretrained(..., safe_serialization=True).",
        )
    try:
        with quiet():
            read: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                attn_implementation="eager",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"The model in {folder.name!r} cannot be read ({type(error).__name__}: {str(error)[:300]}).",
            "Use a causal model that transformers itself implements, with config.json and safetensors.",
        ) from None
    network, told = read
    lacking = sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))
    if lacking:
        raise ModelError(
            f"The file lacks {len(lacking)} of the model's weights, or has them in another shape, such as "
            f"{lacking[0]}; they would be random.",
            "Save the whole model again, with its own configuration.",
        )
    return network


def read_tokenizer(folder: Path) -> Any:
    """The fast tokenizer.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(
            f"The tokenizer in {folder.name!r} cannot be read ({type(error).__name__}).",
            "Put tokenizer.json and tokenizer_config.json into the model's folder.",
        ) from None


def fingerprint_of(network: Any, encoder: Any) -> str:
    """SHA-256 (hex) over names, types, shapes and bytes of all weights, the configuration and the tokenizer.

    Args:
        network: a `PreTrainedModel`; its weights in float32.
        encoder: a `tokenizers.Tokenizer`.
    """
    digest = hashlib.sha256(b"dpsynth.hf/1")
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    config = network.config.to_dict()
    config = {name: value for name, value in config.items() if name not in _NOT_THE_MODEL}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(encoder.to_str().encode())
    return digest.hexdigest()


def fingerprint_of_files(paths: Sequence[Path], encoder: Any | None = None) -> str:
    """SHA-256 (hex) over the names and bytes of files, for engines that keep weights to themselves.

    Args:
        paths: weights and configuration.
        encoder: a `tokenizers.Tokenizer`, if it is not in one of the files.
    """
    digest = hashlib.sha256(b"dpsynth.files/1")
    for path in sorted(paths, key=lambda path: path.name):
        with path.open("rb") as file:
            digest.update(f"\0{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    digest.update(b"" if encoder is None else encoder.to_str().encode())
    return digest.hexdigest()


_NOT_THE_MODEL = {
    "_name_or_path",
    "name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "_attn_implementation",
}


def load_library() -> None:
    """Import transformers without tqdm's advice on notebooks: its bars are not shown anyway."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        import transformers  # noqa: F401


@contextmanager
def quiet() -> Iterator[None]:
    """No bars of transformers on standard error: our own progress says what is going on."""
    load_library()
    from transformers.utils import logging as library

    logging: Any = library
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
