"""Licenses by what sources say: texts, heads, manifests; None where they do not."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.retrieval.repository.headers import UNKNOWN
from luthier.retrieval.repository.licenses import (
    is_license_file,
    license_at,
    license_of_header,
    license_of_manifest,
    license_of_text,
    licenses_by_folder,
)
from luthier.retrieval.repository.spdx import expression, together

MIT = (
    'Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation '
    'files (the "Software"), to deal in the Software without restriction. The above copyright notice and this permission notice shall be '
    "included in all copies or substantial portions."
)  # fmt: skip
BSD_2 = "Redistributions of source code must retain the notice. Redistributions in binary form must reproduce the notice."
BSD_3 = f"{BSD_2} Neither the name of the holder may be used to endorse or promote products derived from it."
ISC = (
    "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that "
    "the above copyright notice appears."
)
LGPL_NOTICE = textwrap.dedent("""\
    This program is free software: you can redistribute it and/or modify
    it under the terms of the GNU Lesser General Public License as published by
    the Free Software Foundation, either version 3 of the License, or
    (at your option) any later version.
    """)
GPL_3 = "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007 ... 5. Conveying Modified Source Versions."
LGPL_3 = "GNU LESSER GENERAL PUBLIC LICENSE Version 3, 29 June 2007 ... supplemented by the additional permissions listed below."


def test_the_first_sentence_of_a_grant_tells_of_no_lesser_license() -> None:
    sentence = MIT.partition(" The above")[0]
    as_is = 'THE SOFTWARE IS PROVIDED "AS IS".'
    assert license_of_text(sentence) is None
    assert license_of_text(f"MIT License\n\n{sentence} {as_is}") is None
    assert license_of_header(f"# MIT License\n#\n# {sentence}\nx = 1\n") == "MIT"
    assert license_of_text(f"MIT No Attribution\n\n{sentence} {as_is}") == "MIT-0"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        (f"The MIT License (MIT)\n\nCopyright (c) 1999-2030 Whoever <a@b.c>\n\n{textwrap.fill(MIT, 40)}", "MIT"),
        (textwrap.indent(textwrap.fill(MIT, 60), " * "), "MIT"),
        (BSD_2, "BSD-2-Clause"),
        (BSD_3, "BSD-3-Clause"),
        (ISC, "ISC"),
        (ISC.split(", provided", maxsplit=1)[0] + ".", "0BSD"),
        (GPL_3, "GPL-3.0-only"),
        (LGPL_3, "LGPL-3.0-only"),
        ("Boost Software License - Version 1.0 - August 17th, 2003\n" + MIT.replace("any person", "any person or organization"), "BSL-1.0"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        (f"{MIT}\n\n{BSD_3}", None),
        ("All rights reserved. No part may be copied.", None),
        ("MIT", None),
        ("", None),
    ],
)
def test_texts(text: str, name: str | None) -> None:
    assert license_of_text(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("// SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */\n", "(GPL-2.0-only OR BSD-3-Clause)"),
        ("<!-- SPDX-License-Identifier: Apache-2.0 -->", "Apache-2.0"),
        ("# SPDX-License-Identifier: GPL-2.0+\n", "GPL-2.0-or-later"),
        ("# SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note\n", "GPL-2.0-only WITH Linux-syscall-note"),
        ("# SPDX-License-Identifier: whatever\n", UNKNOWN),
        (textwrap.indent(LGPL_NOTICE, " * "), "LGPL-3.0-or-later"),
        (
            LGPL_NOTICE.replace("Lesser ", "").replace("version 3 of the License, or\n(at your option) any later version", "version 2"),
            "GPL-2.0-only",
        ),
        ('// Licensed under the Apache License, Version 2.0 (the "License");\n', "Apache-2.0"),
        ("// This Source Code Form is subject to the terms of the Mozilla Public\n// License, v. 2.0.\n", "MPL-2.0"),
        ("# See LICENSE.\n", None),
        ("x = 1\n" * 2_000 + "# SPDX-License-Identifier: MIT\n", None),
    ],
)
def test_heads(text: str, name: str | None) -> None:
    assert license_of_header(text) == name


@pytest.mark.parametrize(
    ("text", "nearest", "name"),
    [
        ("# Licensed under the GNU General Public License, version 3\nx = 1\n", "Apache-2.0", "GPL-3.0-only"),
        ("// Licensed under the terms of the GNU GPL v2 or later.\n", "MIT", "GPL-2.0-or-later"),
        ("# This file is released under the LGPLv2.1+.\n", "MIT", "LGPL-2.1-only"),
        ("/* Distributed under the GNU Affero General Public License (AGPL), version 3. */\n", "MIT", "AGPL-3.0-only"),
        ("/**\n * @license GPL-3.0-or-later\n */\n", "MIT", "GPL-3.0-or-later"),
        ('"""Tools.\n\n:license: Apache2, see LICENSE for more details.\n"""\n', None, "Apache-2.0"),
        ('__license__ = "GPLv3"\n', "MIT", "GPL-3.0-only"),
        ("# License: GPL\n", "MIT", UNKNOWN),
        ("# License: GPL\n", "GPL-2.0-or-later", "GPL-2.0-or-later"),
        ("// Licensed under the MIT license.\n", "Apache-2.0", "MIT"),
        ("// Distributed under the Mozilla Public License 2.0\n", "MIT", "MPL-2.0"),
        ("# Licensed under the 3-Clause BSD License\n", "MIT", "BSD-3-Clause"),
        ("# Distributed under the BSD license.\n", "BSD-2-Clause", "BSD-2-Clause"),
        ("# Distributed under the BSD license.\n", "MIT", UNKNOWN),
        ("// Use of this source code is governed by a BSD-style\n// license that can be found in the LICENSE file.\n", "MIT", None),
        ("// Licensed under either of Apache License, Version 2.0 or MIT license at your option.\n", None, "Apache-2.0 OR MIT"),
        ("# Licensed under the Apache License 2.0.\n# Portions are licensed under the MIT license.\n", None, "Apache-2.0 AND MIT"),
        ("# Licensed under Apache 2.0 and the BSD License. See the LICENSE file in the root.\n", "Apache-2.0", None),
        ("# Licensed under the Eclipse Public License.\n", "MIT", UNKNOWN),
        ("# Licensed under the same license as the project.\n", "MIT", None),
        ("# Copyright 2020 Acme. Proprietary and confidential.\n", "MIT", UNKNOWN),
        ("# Unauthorized copying of this file, via any medium, is prohibited\n", "MIT", UNKNOWN),
        ("# Copyright (c) 2020 Acme. All rights reserved.\n", "MIT", None),
        (f"/*\n{BSD_2}\n*/\n", "MIT", "BSD-2-Clause"),
        ("def submit(form):\n    # the values are distributed under one key\n", "MIT", None),
    ],
)
def test_heads_in_prose(text: str, nearest: str | None, name: str | None) -> None:
    assert license_of_header(text, nearest) == name


def test_several_works_together() -> None:
    assert together(["MIT", "MIT"]) == "MIT"
    assert together(["MIT OR ISC", "Apache-2.0"]) == "Apache-2.0 AND (MIT OR ISC)"
    assert together(["MIT", None]) is None
    assert together([]) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("mit", "MIT"),
        ("MIT or apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT  AND (ISC OR 0BSD))", "(MIT AND (ISC OR 0BSD))"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("LicenseRef-own", "LicenseRef-own"),
        ("AGPL-3.0", "AGPL-3.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("MIT License", None),
        ("MIT OR", None),
        ("OR MIT", None),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT WITH", None),
        ("MIT WITH nothing", None),
        ("UNLICENSED", None),
        ("NOASSERTION", None),
        ("SEE LICENSE IN LICENSE", None),
        ("", None),
        ("()", None),
        ("(" * 5_000, None),
    ],
)
def test_expressions(written: str, read: str | None) -> None:
    assert expression(written) == read


@given(st.text(alphabet="()+ MITORWANDApache-2.0", max_size=60))
def test_what_is_read_reads_as_itself(written: str) -> None:
    read = expression(written)
    assert read is None or expression(read) == read


def test_manifests() -> None:
    assert license_of_manifest("a/package.json", '{"license": "MIT"}') == "MIT"
    assert license_of_manifest("package.json", '{"license": {"type": "ISC", "url": "x"}}') == "ISC"
    assert license_of_manifest("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"\n') == "MIT OR Apache-2.0"
    assert license_of_manifest("pyproject.toml", '[project]\nlicense = {text = "BSD-3-Clause"}\n') == "BSD-3-Clause"
    assert license_of_manifest("pyproject.toml", '[tool.poetry]\nlicense = "MIT"\n') == "MIT"
    for text in ("{", "[]", '{"license": 3}', "[" * 100_000, '{"license": "SEE LICENSE IN LICENSE"}'):
        assert license_of_manifest("package.json", text) is None
    for text in ("[", "project = 3", "[project]\nlicense = {file = 'LICENSE'}\n", "tool = 1"):
        assert license_of_manifest("pyproject.toml", text) is None


def test_the_nearest_folder_holds() -> None:
    folders = licenses_by_folder(
        {"LICENSE": MIT, "own/COPYING": "All rights reserved.", "both/LICENSE-MIT": MIT, "both/LICENSE-BSD": BSD_3},
        {"sub/package.json": '{"license": "ISC"}'},
    )
    assert license_at("a.py", folders) == "MIT"
    assert license_at("sub/deep/a.py", folders) == "ISC"
    assert license_at("own/a.py", folders) is None  # Not the one above: this folder has a license, only it is unknown.
    assert license_at("both/a.py", folders) is None
    # What a tool writes into a manifest does not outweigh a text that is none of the known ones.
    assert licenses_by_folder({"own/LICENSE": "Proprietary."}, {"own/package.json": '{"license": "ISC"}'}) == {"own": None}
    assert licenses_by_folder({}, {"own/package.json": '{"license": "UNLICENSED"}'}) == {"own": None}
    assert (
        license_at(
            "both/a.py",
            licenses_by_folder(
                {"both/LICENSE-MIT": MIT, "both/LICENSE-BSD": BSD_3}, {"both/Cargo.toml": '[package]\nlicense = "MIT OR BSD-3-Clause"'}
            ),
        )
        == "MIT OR BSD-3-Clause"
    )
    assert license_at("a.py", {}) is None


def test_gnu_texts_beside_each_other() -> None:
    assert licenses_by_folder({"COPYING": GPL_3, "COPYING.LESSER": LGPL_3}, {}) == {".": "LGPL-3.0-only"}
    assert licenses_by_folder({"COPYING": GPL_3, "COPYING.LESSER": LGPL_3, "LICENSE": LGPL_NOTICE}, {}) == {".": "LGPL-3.0-or-later"}


def test_names_of_license_files() -> None:
    for name in ("LICENSE", "licence.txt", "COPYING.LESSER", "a/LICENSE-MIT", "LICENSE.md", "UNLICENSE", "LICENSE-2.0.txt", "LICENSE.MIT"):
        assert is_license_file(name), name
    for name in ("license.py", "licenses.toml", "License.java", "src/licensed.md", "licenses/a.txt"):
        assert not is_license_file(name), name
