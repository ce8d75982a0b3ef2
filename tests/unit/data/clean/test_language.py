from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleaning_parts import row, says
from luthier.data.clean.language import LANGUAGES, language, languages_of

TLDR = Path(__file__).parents[5] / "shared" / "data" / "tldr.jsonl"

TOLD = {
    "How can I list all of the files in a folder that were changed last week?": "en",
    "Wie kann ich alle Dateien in einem Ordner auflisten, die nicht leer sind?": "de",
    "Comment puis-je lister tous les fichiers qui sont dans le dossier de l'utilisateur ?": "fr",
    "¿Cómo puedo ver todos los archivos que hay en una carpeta y sus subcarpetas?": "es",
    "Come posso vedere tutti i file che sono nella cartella e non sono vuoti?": "it",
    "Como posso ver todos os arquivos que não são do meu usuário em uma pasta?": "pt",
    "Hoe kan ik alle bestanden in een map zien die niet leeg zijn?": "nl",
    "Jak mogę zobaczyć wszystkie pliki, które są w tym katalogu i nie są puste?": "pl",
    "Как мне найти все файлы, которые не были изменены на этой неделе?": "ru",
    "Як мені знайти всі файли, які були змінені на цьому тижні, та що з ними робити?": "uk",
    "如何列出目录中的所有文件？": "zh",
    "ディレクトリ内のファイルを一覧表示するにはどうすればいいですか。": "ja",
    "디렉터리의 모든 파일을 나열하려면 어떻게 해야 합니까?": "ko",
    "كيف يمكنني عرض جميع الملفات في المجلد؟": "ar",
    "मैं सभी फ़ाइलें कैसे देख सकता हूँ?": "hi",
    "Πώς μπορώ να δω όλα τα αρχεία;": "el",
}


@pytest.mark.parametrize(("text", "told"), TOLD.items())
def test_languages_are_told(text: str, told: str) -> None:
    assert told in languages_of(text)
    assert told in LANGUAGES
    assert says(language, row(text), natural_languages=[told]) is None
    assert says(language, row(text), natural_languages=["vi"]) is not None
    assert says(language, row(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "ls",
        "",
        "Display a VM's details",
        "Comment on a specific pull request",
        "Return a non-zero exit code",
        "Create a NTFS filesystem inside partition Y on device X",
        "```\nfor i in la de der die das le la les\n```",
        "`der die das ist nicht`",
        "def f(x):\n    return x + 1",
        "/usr/share/die/der/das/ist",
        "?!",
    ],
)
def test_what_is_too_short_or_code_cannot_be_told(text: str) -> None:
    assert languages_of(text) == frozenset()
    assert says(language, row(text), natural_languages=["en"]) is None


def test_a_foreign_name_is_no_other_language() -> None:
    assert says(language, row("What does the word 東京 mean and how is it written?"), natural_languages=["en"]) is None


@pytest.mark.skipif(not TLDR.exists(), reason="the folder of shared data is absent")
def test_no_english_description_is_told_to_be_another_language() -> None:
    with TLDR.open(encoding="utf-8") as stream:
        texts = [json.loads(line)["description"] for line in stream][::5]
    assert [text for text in texts if (told := languages_of(text)) and "en" not in told] == []
