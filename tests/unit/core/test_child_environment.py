"""What a child gets of the environment."""

from __future__ import annotations

import pytest

from luthier.core.child_environment import SERVER_TOKEN, Need, environment_for, is_of_a_key

GIVEN = {
    "PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "src", "XDG_CACHE_HOME": "cache", "SSL_CERT_FILE": "certs",
    "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0", "TORCHINDUCTOR_CACHE_DIR": "kernels", "HF_HOME": "hub",
    "TOKENIZERS_PARALLELISM": "0",
    "HF_TOKEN": "k", "https_proxy": "http://u:p@proxy", "SSH_AUTH_SOCK": "agent", "WANDB_API_KEY": "k", "WANDB_MODE": "offline",
    "MLFLOW_TRACKING_PASSWORD": "k", "AWS_SECRET_ACCESS_KEY": "k", "GEMINI_API_KEY": "k", "OMP_SECRET": "k", "HF_OTHER_TOKEN": "k",
    "LUTHIER_TOKEN": "k", "DATABASE_URL": "u:p@db", "RANK": "0", "MASTER_ADDR": "elsewhere",
}  # fmt: skip
EVERY = {"PATH", "LC_ALL", "PYTHONPATH", "XDG_CACHE_HOME", "SSL_CERT_FILE"}
COMPUTE = {"OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "TORCHINDUCTOR_CACHE_DIR", "HF_HOME", "TOKENIZERS_PARALLELISM"}


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", dict(GIVEN))


@pytest.mark.parametrize(
    ("needs", "more"),
    [
        ([], set()),
        (["compute"], COMPUTE),
        (["compute", "hub"], {*COMPUTE, "HF_TOKEN", "https_proxy"}),
        (["sources"], {"SSH_AUTH_SOCK", "https_proxy"}),
        (["wandb"], {"WANDB_API_KEY", "WANDB_MODE", "https_proxy"}),
        (["mlflow"], {"MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "https_proxy"}),
    ],
)
def test_what_is_listed_for_its_needs_and_nothing_else(needs: list[Need], more: set[str]) -> None:
    assert environment_for(needs) == {name: GIVEN[name] for name in (*EVERY, *more)}


def test_what_its_work_names_but_never_the_servers_token() -> None:
    assert set(environment_for([], ["GEMINI_API_KEY", "NOT_THERE", SERVER_TOKEN])) == {*EVERY, "GEMINI_API_KEY"}


@pytest.mark.parametrize(("name", "is_key"), [("HF_TOKEN", True), ("hf_token", True), ("TOKENIZERS_PARALLELISM", False), ("KEYMAP", False)])
def test_which_names_are_of_keys(name: str, is_key: bool) -> None:
    assert is_of_a_key(name) is is_key
