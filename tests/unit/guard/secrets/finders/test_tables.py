"""Secrets in tables: found under a head that names them, in each way to write a table; tables about secrets and tokens hold none."""

from __future__ import annotations

import time

import pytest

from luthier.guard.secrets.finders.tables import tabled
from luthier.guard.secrets.scan import redact

# `@` stands for a password, `#` for another secret.
TABLES = [
    "| User | Password |\n|---|---|\n| bob | @ |\n| al | @ |",
    "Here are the accounts:\n\n| Service | Login | Password | Notes |\n"
    "| :--- | :---: | ---: | --- |\n| db | bob | `@` | the main one |\n| web | al | **@** | |",
    "User | Password\n--- | ---\nbob | @",
    "> | User | Password |\n> |---|---|\n> | bob | @ |",
    "user\tpassword\nbob\t@\nal\t@",
    "Server\tUser\tPass\r\ndb1\tbob\t@\r\n",
    'user,password,mail\nbob,@,b-acme.io\nal,"@",a-acme.io',
    "List the users\nuser, password\nbob, @",
    "id;login;passwort\n1;bob;@",
    "User name,Password,Access key ID,Secret access key,Console login link\nbob,@,x,#,https://1.signin.aws.amazon.com/console",
    "ssid,psk_password\nHome,@",
    "USER      PASSWORD      HOST\nbob       @      db1\nalice     @     db2",
    "USER      HOST     PASSWORD\nbob                @\nalice     db2      @",
    "NAME    TOKEN\nci      #",
    "username password\nbob @\nal @",
    "+------+-----------+\n| user | password  |\n+------+-----------+\n| bob  | @  |\n| al   | @ |\n+------+-----------+\n2 rows in set",
    " user |  password\n------+-----------\n bob  | @\n al   | @\n(2 rows)",
    "====== ==========\nUser   Password\n====== ==========\nbob    @\n====== ==========",
    "+------+----------+\n| User | Password |\n+======+==========+\n| bob  | @ |\n+------+----------+",
    "| Name | API key |\n|---|---|\n| maps | # |",
    "| Env | api_key | token |\n|---|---|---|\n| dev | # | # |",
    "| E-mail | Kennwort |\n|---|---|\n| a | @ |",
    "| Server | dbPassword (root) |\n|---|---|\n| a | @ |",
]
PASSWORDS = ["hunter" + "kx", "Zebra" + "kopf!", "Tr0ub" + "4dor"]
KEY = "k9Xw2LmQ7v" + "Rt4YbN8cZs"
CLEAN = [
    "| Token | Meaning |\n|---|---|\n| `IDENT` | a name |\n| NUMBER | digits |\n| `==` | equal |\n| INT32_MAX | x |",
    "| Token | Type | Regex |\n|---|---|---|\n| identifier1 | name | [a-z]+ |\n| string_literal | x | y |",
    "token,id\n<pad>,0\n##ing,2\nĠhello,345\nhello2,7",
    "| Option | Password | Meaning |\n|---|---|---|\n| -p | required | x |\n| -q | optional | y |",
    "| User | Password | Result |\n|---|---|---|\n| valid | invalid | error |\n"
    "| empty | empty | x |\n| bob | <password> | ok |\n| al | $PASS | ok |\n| cy | xxxxxx | no |"
    "\n| di | your-password | y |\n| e | changeme | y |\n| f | ******** | z|",
    "| Method | Password | Token |\n|---|---|---|\n| basic | yes | no |\n| oauth2 | no | yes |",
    "Field,Type,Description\npassword,string,the password\ntoken,string,x",
    "| Field | Type |\n|---|---|\n| password | string |\n| email | string |\n| username | string |",
    "| Key | Value |\n|---|---|\n| a1b2c3d4e5 | x |",
    "KEY        ACTION\nctrl+x2    quit\n",
    "| Secret name | Where |\n|---|---|\n| DB_PASSWORD2 | vault |",
    "| Algorithm | Password | Speed |\n|---|---|---|\n| sha256 | PBKDF2 | 1 |",
    "| Password | Strength |\n|---|---|\n| letters | weak |\n| 12 characters | strong |",
    "| Model | max tokens | Tokens |\n|---|---|---|\n| gpt | 4096 | 128k |",
    "| token | count |\n|---|---|\n| utf8_general_ci2 | 3 |",
    "Python has many keys, tokens, and passwords,\nwhich are read, written,",
    "The user and password\nmust be given",
    "user password\nmust work",
    "| user | password |\n|------|----------|\n| string | string |\n| admin | admin |\n| root | password |",
    "Password, token, or key\nuse one, two, three4you",
    "NAME                TYPE     DATA   AGE\ntoken-abc12         Opaque   1      5d",
    "NAME              SECRETS   AGE\ndefault           1         5d",
    "| Attribute | Password | PIN |\n|---|---|---|\n| minlength8 | 12chars | x |",
    "usage: tool [user] [password]\n  user      the user\n  password  the password",
    "Name     Token      Description\nplus     PLUS       adds\nminus2   MINUS_2    subtracts",
    "| Setting | Value |\n|---|---|\n| Password | required |\n| Token | identifier2 |",
    "passwd, hosts, networks, services, protocols, rpc\nshadow, netgroup, aliases, x, y, z",
    "x = [\n    'token', 'password', 'user',\n    'peek4u', 'peek8s', 'peek9s',\n]",
    "    return (\n        password,  user,\n        stacklevel=2,  x=3)",
    "| User | Password |\n\n| bob | later1x |",
]


def values(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in tabled(text)]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_value_under_such_a_head_is_found_whole(table: str, password: str) -> None:
    text = table.replace("@", password).replace("#", KEY)
    assert sorted(values(text)) == sorted([password] * table.count("@") + [KEY] * table.count("#"))
    (done,) = redact([f"Before it.\n\n{text}\n\nBehind it."], "fast")
    assert password not in done.text
    assert KEY not in done.text
    assert done.is_clean


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "value",
    ["<password>", "$PASS", "xxxxxx", "example", "your-password", "changeme", "********", "required", "IDENTIFIER", "none", "", "yes"],
)
def test_what_stands_for_a_secret_is_none(table: str, value: str) -> None:
    assert values(table.replace("@", value).replace("#", value)) == []


@pytest.mark.parametrize("text", CLEAN)
def test_tables_about_secrets_and_tokens_hold_none(text: str) -> None:
    assert values(text) == []


def test_a_row_that_begins_with_the_word_tells_a_mixed_value_only() -> None:
    table = "| Setting | Value |\n|---|---|\n| Password | @ |"
    assert values(table.replace("@", PASSWORDS[2])) == [PASSWORDS[2]]
    assert values(table.replace("@", PASSWORDS[0])) == []


@pytest.mark.parametrize(
    "cells",
    [
        "<tr><td>Password</td><td>@</td></tr>",
        "<table>\n<tr>\n  <th scope=row>Admin password:</th>\n  <td><code>@</code></td>\n</tr>\n</table>",
        "<dl><dt>Passwort</dt><dd>@</dd></dl>",
        "<tr><td><b>Mot de passe</b></td> <td class='x'> @ </td></tr>",
    ],
)
def test_a_cell_beside_the_word_tells_a_mixed_value_only(cells: str) -> None:
    assert values(cells.replace("@", PASSWORDS[2])) == [PASSWORDS[2]]
    for value in ("required", "string", "&lt;password&gt;", "SHA256", "8 characters, 1 digit", "12+", PASSWORDS[0]):
        assert values(cells.replace("@", value)) == []


def test_cells_of_html_about_other_things_hold_none() -> None:
    assert (
        values(f"<tr><td>Token</td><td>int32</td></tr><tr><td>Key</td><td>{KEY}</td></tr><tr><td>Passwords</td><td>12 or more</td>") == []
    )
    assert values(f"<tr><td>API key</td><td>{KEY}</td></tr>") == [KEY]


def test_a_long_table_costs_time_by_its_length_alone() -> None:
    rows = "| token | password | x |\n" * 20_000
    started = time.process_time()
    assert values(f"| User | Token |\n|---|---|\n{rows}") == []
    assert values("a,password,b\n" * 20_000) == []
    assert values("<td>password</td> <b>" * 20_000) == []
    assert time.process_time() - started < 5
