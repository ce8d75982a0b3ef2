from __future__ import annotations

import re
import subprocess
import sys

from luthier.data.clean.cleaner import ROW_RULES
from luthier.data.clean.codes import RULES, rule_codes
from luthier.data.clean.secrets import PERSONAL_DATA, SECRET, URL
from luthier.data.clean.shell import DANGEROUS_COMMAND, SHELL_SYNTAX, SHELLCHECK
from luthier.data.rows.rejects import CONTAMINATED


def test_the_table_is_the_order_of_the_rules() -> None:
    later = (CONTAMINATED, SECRET, URL, PERSONAL_DATA, SHELL_SYNTAX, SHELLCHECK, DANGEROUS_COMMAND)
    assert rule_codes() == (*ROW_RULES, *later)
    assert len(set(rule_codes())) == len(RULES)
    assert all(re.fullmatch(r"[a-z]+(?:_[a-z]+)*", rule.code) and rule.what.endswith(".") for rule in RULES)


def test_codes_are_known_without_scanners_and_parsers() -> None:
    script = "import sys, luthier.data.clean.codes; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert not {"luthier.guard", "pydantic", "numpy", "luthier.data.clean.cleaner"} & set(done.stdout.split())
