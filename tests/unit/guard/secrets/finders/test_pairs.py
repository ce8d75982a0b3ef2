"""Names and values in fields of their own: found whole, and nothing where the name or the value is another's."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.finders.pairs import paired
from luthier.guard.secrets.patterns import PatternScanner

# `@` stands for the secret.
PLACES = [
    "env:\n  - name: DB_PASSWORD\n    value: @\n",
    'env:\n  - name: "DB_PASSWORD"\n    value: "@"  # staging\n',
    "  - value: '@'\n    name: SMTP_PASS\n",
    "parameters:\r\n- key: api-key\r\n  value: @\r\n",
    '{"environment": [{"name": "DB_PASSWORD", "value": "@"}]}',
    '{\n  "value": "@",\n  "name": "JWT_SECRET"\n}',
    '{"Key": "apiKey",\n "Value": "@"}',
    '<property name="password" value="@"/>',
    '<add key="SmtpPassword" value="@" />',
    '<entry id="3" value="@" type="x" key="client-secret">',
    "<property>\n  <name>javax.jdo.option.ConnectionPassword</name>\n  <value>@</value>\n</property>",
    "<key>Password</key>\n\t<string>@</string>",
    'set {\n  name  = "auth.password"\n  value = "@"\n}',
    'variable "db_password" {\n  type = string\n  default = "@"\n}',
    '<property name="password">@</property>',
    '<string name="api_key" translatable="false">@</string>',
    '<input type="password" name="p" value="@">',
    '<input value="@" type="password"/>',
    "aws ssm put-parameter --type SecureString --name /db/password --value '@'",
    "gh secret set DB_PASSWORD --body '@'",
    "  - password :: @",
    'const pw = process.env.DB_PASSWORD || "@";',
    "pw = ENV['DB_PASSWORD'] || '@'",
    "pw = os.environ.get('DB_PASSWORD') or '@'",
    'parser.add_argument("--password", help="of the shop", default="@")',
]
VALUES = ["s3cr3t-P4ss", "Tr0ub4dor&3", "x9Kd8fLq2mQw7Zp4Rt"]
CLEAN = [
    "- name: DB_PASSWORD\n  value: changeme\n",
    "- name: DB_PASSWORD\n  value: ${DB_PASSWORD}\n",
    "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: {name: db, key: p4ssw0rd-9}\n",
    "- name: MAX_TOKENS\n  value: 4096tok2\n",
    "- name: REPLICAS\n  value: x9Kd8fLq2m\n",
    "- name: password\n  in: query\n  value: string\n",
    '{"name": "password", "value": "required"}',
    '{"name": "token", "value": "word2"}',
    '<property name="url" value="jdbc:mysql://db1/shop2"/>',
    '<input type="password" name="password" value=""/>',
    '<input name="password" value="{{ form.password1 }}"/>',
    "<key>CFBundleName</key>\n<string>App2Go9x</string>",
    'variable "db_password" {\n  type = string\n}\nvariable "size" {\n  default = "t3.medium9"\n}',
    'name = "password"\nvalue = var.password1',
    '<string name="password_hint">Enter8it</string>',
    '<string name="password">Password1</string>',
    "const pw = process.env.DB_PASSWORD || process.env.PASS9WORD;",
    'parser.add_argument("--password-file", default="/etc/p4ss.txt")',
    'parser.add_argument("--token", default="auto2")',
    "npm config set registry https://registry.example9/",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", VALUES)
def test_the_value_is_found_whole(place: str, value: str) -> None:
    text = place.replace("@", value)
    assert [text[start:end] for start, end, _ in paired(text)] == [value]
    (found,) = PatternScanner().scan([text])
    covered = "".join(text.encode()[finding.start : finding.end].decode() for finding in found)
    assert value in covered


@pytest.mark.parametrize("text", CLEAN)
def test_what_is_no_secret_is_left(text: str) -> None:
    assert list(paired(text)) == []


def test_a_token_is_longer_than_a_password() -> None:
    text = "npm config set //registry.example/:_authToken x9Kd8fLq2mQw7Zp4Rt"
    assert [text[start:end] for start, end, _ in paired(text)] == ["x9Kd8fLq2mQw7Zp4Rt"]
