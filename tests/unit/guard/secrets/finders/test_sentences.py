"""Passwords and keys that sentences tell, in many languages, and sentences about passwords that tell none."""

from __future__ import annotations

import time

import pytest

from luthier.guard.secrets.finders.sentences import told_in_sentences

PASSWORD = "tr0ub" + "4doR"
# `@` stands for the password.
SENTENCES = [
    "password for prod: @",
    "Root password on web1 = @, as before",
    "The password we use for staging is currently @.",
    "Log in as joe with @ as your password.",
    "Sign in with joe / @ and wait.",
    "Use joe/@ to log in.",
    "Type @ when it asks for the password.",
    "The credentials are joe and @.",
    "creds: joe:@",
    "@ is the root password.",
    "I said that @ was my password",
    "Mot de passe de la base : @",
    "Mon mot de passe, c'est @.",
    "Contraseña de root: @",
    "A senha do servidor é @.",
    "Nimm @ als Passwort.",
    "Hasło do serwera to @ do piątku.",
    "Zaloguj się jako joe z hasłem @.",
    "Пароль от сервера: @ до пятницы.",
    "Пароль для входа — @.",
    "Lösenordet till servern är @ tills vidare.",
    "Passordet er @.",
    "Salasana on @.",
    "Heslo do databáze: @",
    "Sunucunun şifresi @ olarak ayarlandı.",
    "サーバーのパスワードは@です。",
    "服务器的密码是@，请保密。",
    "서버 비밀번호는 @입니다.",
]
KEY = "pQ7x" + "LmZ92vRt" + "Y4kWb1Nc"
KEYS = ["The key (@) goes first.", "The token to use is @, please.", "Use the secret @ for the hook."]
ABOUT = [
    "The password for the user is kept in vault2.yaml.",
    "password policy: NIST800-63B",
    "password reset: see section4",
    "Log in with OAuth2 / SAML2 as it says.",
    "Log in as admin with SHA256 as the method.",
    "Use SHA256 as the password hash.",
    "Argon2id is the password algorithm.",
    "We say that Step2b9 is the password page.",
    "The credentials are user2's and the team's.",
    "Credentials: see section 2.2.",
    "The key (id2) is stored in the table.",
    "Press the key (ctrl+alt+shift+f12) twice.",
    "Das Passwort muss 8 Zeichen haben.",
    "Hasło jest zapisane jako SHA256.",
    "Пароль хранится как SHA256.",
    "密码使用SHA256加密。",
    "パスワードはbase64で送信されます。",
    "비밀번호는 SHA256으로 저장됩니다.",
]


def found(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in told_in_sentences(text)]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_password_is_found_whole(sentence: str) -> None:
    assert set(found(sentence.replace("@", PASSWORD))) == {PASSWORD}


@pytest.mark.parametrize("sentence", KEYS)
def test_a_key_is_found_whole(sentence: str) -> None:
    assert set(found(sentence.replace("@", KEY))) == {KEY}


@pytest.mark.parametrize("sentence", ABOUT)
def test_sentences_about_passwords_tell_none(sentence: str) -> None:
    assert found(sentence) == []


@pytest.mark.parametrize("value", ["<password>", "changeme", "required", "${PASS2}", "your_password1", "hidden"])
def test_what_stands_for_a_password_is_none(value: str) -> None:
    assert [sentence for sentence in SENTENCES if found(sentence.replace("@", value))] == []


def test_a_long_line_of_names_takes_little_time() -> None:
    started = time.process_time()
    for text in (
        "password " * 10_000,
        "the password is the " * 5_000,
        "log in as a with " * 5_000,
        "key" + "a1" * 50_000,
        "x1y " * 40_000 + "password",
    ):
        list(told_in_sentences(text))
    assert time.process_time() - started < 5
