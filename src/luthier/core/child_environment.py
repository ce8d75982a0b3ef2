"""What a process that works for the server gets of its environment: variables that are listed, by what its work needs, and no other.

Whoever may read `/proc/PID/environ`, or what a library sends home when it fails, finds no key there that the work has no use for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Literal

# `hub`: models and rows are fetched from a hub. `sources`: repositories are fetched, as the user's own git would. Trackers by their names.
Need = Literal["compute", "hub", "sources", "wandb", "mlflow"]

# The server's own token is for nobody, whoever names it.
SERVER_TOKEN = "LUTHIER_TOKEN"

_PROXIES = "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY"
_CERTIFICATES = "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"
# What Python, a C library and a terminal go by. Names that end in `_` stand for all that begin so, but for those of keys.
_EVERY = f"""PATH HOME USER LOGNAME SHELL TMPDIR TZ LANG LANGUAGE LC_ TERM COLUMNS NO_COLOR XDG_ LD_LIBRARY_PATH LD_PRELOAD
    VIRTUAL_ENV CONDA_PREFIX PYTHON MALLOC_ GLIBC_TUNABLES {_CERTIFICATES}"""
_NEEDS: Mapping[Need, str] = {
    # Threads, devices, kernels, and where models lie and kernels are kept.
    "compute": """OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ NUMEXPR_ ONEDNN_ DNNL_ LRU_CACHE_CAPACITY ATEN_ TBB_
        CUDA_ CUBLAS_ CUDNN_ NVIDIA_ NCCL_ GLOO_ HIP_ ROCR_ ROCM_ HSA_ MIOPEN_ ZE_ SYCL_ TORCH TRITON_ PYTORCH_ BNB_ FLASH_ FLASHINFER_ DS_
        HF_ HUGGINGFACE_ TRANSFORMERS_ TOKENIZERS_ SAFETENSORS_ PEFT_ ACCELERATE_ AXOLOTL_ VLLM_ CC CXX""",
    "hub": f"HF_TOKEN HF_TOKEN_PATH HUGGING_FACE_HUB_TOKEN {_PROXIES}",
    "sources": f"SSH_AUTH_SOCK MANPATH {_PROXIES}",
    "wandb": f"WANDB_ WANDB_API_KEY {_PROXIES}",
    # MLflow writes a run's files where its server says, with the keys of that place.
    "mlflow": f"""MLFLOW_ MLFLOW_TRACKING_TOKEN MLFLOW_TRACKING_PASSWORD DATABRICKS_ DATABRICKS_TOKEN AWS_ AWS_ACCESS_KEY_ID
        AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AZURE_STORAGE_ AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_ACCESS_KEY
        GOOGLE_APPLICATION_CREDENTIALS {_PROXIES}""",
}
# Families whose names have no sign between the first word and the rest (`PYTHONPATH`, `TORCHINDUCTOR_CACHE_DIR`).
_FAMILIES = ("PYTHON", "TORCH")
_OF_KEYS = frozenset({"KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "AUTH", "CREDENTIALS", "STRING"})


def environment_for(needs: Iterable[Need] = (), named: Iterable[str] = ()) -> dict[str, str]:
    """The variables of this process that a child gets for `needs`, and those `named` by its own work, such as the keys of its endpoints."""
    listed = set(_EVERY.split()).union(*(_NEEDS[need].split() for need in needs))
    exact = (listed | set(named)) - {SERVER_TOKEN}
    families = tuple(name for name in listed if name.endswith("_") or name in _FAMILIES)
    return {name: value for name, value in os.environ.items() if name in exact or (name.startswith(families) and not is_of_a_key(name))}


def is_of_a_key(name: str) -> bool:
    """Whether a variable of this name is likely to hold a key, a token or a password."""
    return not _OF_KEYS.isdisjoint(name.upper().split("_"))
