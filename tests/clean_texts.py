"""Clean texts that look like secrets: hashes, identifiers, placeholders, references, public keys, code and prose about secrets."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator

from secret_texts import ALNUM, HEX, URLSAFE, WORDS, Case, Random, b64, chars, half, word


def _uuid(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _public_key(rng: Random) -> str:
    body = base64.b64encode(b"\x30\x82\x01\x22" + rng.randbytes(290)).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----"])


def _certificate(rng: Random) -> str:
    return _public_key(rng).replace("PUBLIC KEY", "CERTIFICATE")


PLACEHOLDERS = [
    "your-api-key-here",
    "<YOUR_API_KEY>",
    "YOUR_TOKEN",
    "xxxxxxxxxxxxxxxx",
    "changeme",
    "REPLACE_ME",
    "<token>",
    "********",
    "insert-token-here",
    "TODO",
    "example-secret",
    "my-secret-password",
    "dummy",
    "placeholder",
    "sk-your-key-here",
    "sk-xxxxxxxxxxxxxxxxxxxx",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxx",
]
SECRET_NAMES = ["API_KEY", "api_key", "token", "ACCESS_TOKEN", "password", "DB_PASSWORD", "client_secret", "SECRET_KEY"]

CLEAN: dict[str, Callable[[Random], str]] = {
    "sha256-sums": lambda rng: f"{chars(rng, 64, HEX)}  release-{rng.randint(1, 9)}.tar.gz\n{chars(rng, 64, HEX)}  notes.txt\n",
    "git-log": lambda rng: f"commit {chars(rng, 40, HEX)}\nAuthor: A B <a@acme.io>\n\n    Fix the {word(rng)} page\n",
    "git-short": lambda rng: f"{chars(rng, 7, HEX)} Add {word(rng)}\n{chars(rng, 7, HEX)} Remove {word(rng)}\n",
    "request-id": lambda rng: f'{{"level": "info", "request_id": "{_uuid(rng)}", "path": "/v1/items"}}',
    "npm-lock": lambda rng: (
        f'"node_modules/{word(rng)}": {{\n  "version": "4.17.21",\n'
        f'  "resolved": "https://registry.npmjs.org/{word(rng)}/-/x-4.17.21.tgz",\n  "integrity": "sha512-{b64(rng, 64)}"\n}}'
    ),
    "go-sum": lambda rng: (
        f"github.com/acme/{word(rng)} v1.2.3 h1:{b64(rng, 32)}\ngithub.com/acme/{word(rng)} v1.2.3/go.mod h1:{b64(rng, 32)}\n"
    ),
    "yarn-lock": lambda rng: (
        f'{word(rng)}@^1.0.0:\n  version "1.0.4"\n  resolved "https://registry.yarnpkg.com/x.tgz#{chars(rng, 40, HEX)}"\n'
    ),
    "poetry-lock": lambda rng: f'files = [\n    {{file = "x-1.0.whl", hash = "sha256:{chars(rng, 64, HEX)}"}},\n]\n',
    "pip-hashes": lambda rng: f"requests==2.32.3 \\\n    --hash=sha256:{chars(rng, 64, HEX)}\n",
    "docker-digest": lambda rng: f"FROM python:3.12@sha256:{chars(rng, 64, HEX)}\nRUN pip install .\n",
    "data-image": lambda rng: f'<img alt="{word(rng)}" src="data:image/png;base64,{b64(rng, 180)}">\n',
    "env-placeholder": lambda rng: f"{rng.choice(SECRET_NAMES)}={rng.choice(PLACEHOLDERS)}\nPORT=8080\n",
    "yaml-placeholder": lambda rng: f'auth:\n  {rng.choice(SECRET_NAMES)}: "{rng.choice(PLACEHOLDERS)}"\n',
    "python-placeholder": lambda rng: f'client = Client({rng.choice(SECRET_NAMES)}="{rng.choice(PLACEHOLDERS)}")\n',
    "header-placeholder": lambda rng: (
        f'curl -H "Authorization: Bearer {rng.choice(["YOUR_TOKEN", "<token>", "$TOKEN", "${API_TOKEN}"])}" https://api.acme.io\n'
    ),
    "shell-variable": lambda rng: f'export {rng.choice(SECRET_NAMES)}="${{{word(rng).upper()}_TOKEN}}"\nmake deploy\n',
    "shell-substitution": lambda rng: f"{rng.choice(SECRET_NAMES)}=$(vault kv get -field=value secret/{word(rng)})\n",
    "python-environ": lambda rng: f'{rng.choice(SECRET_NAMES)} = os.environ["{word(rng).upper()}_TOKEN"]\n',
    "javascript-environ": lambda rng: f"const apiKey = process.env.{word(rng).upper()}_API_KEY;\n",
    "ci-secret": lambda rng: f"env:\n  {rng.choice(SECRET_NAMES)}: ${{{{ secrets.{word(rng).upper()}_TOKEN }}}}\n",
    "template": lambda rng: f"{rng.choice(SECRET_NAMES)}: {{{{ .Values.{word(rng)}.password }}}}\n",
    "type-annotation": lambda rng: f"def login(user: str, password: str, token: str | None = None) -> Session:\n    return {word(rng)}()\n",
    "dataclass-fields": lambda rng: f"class {word(rng).capitalize()}:\n    api_key: SecretStr\n    password: Optional[str] = None\n",
    "tokenizer-code": lambda rng: f"tokens = tokenizer.encode({word(rng)})\nmax_tokens = 4096\nnum_tokens = len(tokens)\n",
    "getpass": lambda rng: f'password = getpass("{word(rng)} password: ")\ntoken = create_token(user, password)\n',
    "token-settings": lambda rng: (
        f"special_tokens:\n  pad_token: <|endoftext|>\n  eos_token: </s>\nmax_new_tokens: {rng.randint(64, 4096)}\n"
    ),
    "css-colours": lambda rng: f".{word(rng)} {{ color: #{chars(rng, 6, HEX)}; background: #{chars(rng, 6, HEX)}; }}\n",
    "ssh-public-key": lambda rng: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{chars(rng, 43)} {word(rng)}@laptop\n",
    "pem-public-key": _public_key,
    "pem-certificate": _certificate,
    "known-hosts": lambda rng: f"git.acme.io ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB{chars(rng, 340)}==\n",
    "test-ids": lambda rng: f'user_id = "user_{chars(rng, 14)}"\norder = "ord-{rng.randint(10**6, 10**7)}"\n',
    "issue-ids": lambda rng: f"Fixes ABC-{rng.randint(1, 9999)}, see also #{rng.randint(1, 9999)} and the note in {word(rng)}.md.\n",
    "plain-url": lambda rng: f"curl -L https://{word(rng)}.example.org:8443/path/{_uuid(rng)}?page=2 -o out.json\n",
    "git-remote": lambda rng: (
        f"git remote add origin git@github.com:{word(rng)}/{word(rng)}.git\nssh {word(rng)}@10.0.0.{rng.randint(1, 254)}\n"
    ),
    "url-template": lambda rng: f"DATABASE_URL=postgresql://user:password@localhost:5432/{word(rng)}\n",
    "url-variables": lambda rng: f'url = f"postgresql://{{user}}:{{password}}@{{host}}/{word(rng)}"\n',
    "prose-password": lambda rng: f"The password must be at least {rng.randint(8, 16)} characters long and contain a digit and a symbol.\n",
    "prose-token": lambda rng: f"Pass the access token in the Authorization header; tokens expire after {rng.randint(5, 60)} minutes.\n",
    "error-message": lambda rng: (
        f"SyntaxError: Unexpected token '{rng.choice('}])')}' at line {rng.randint(1, 99)}\nInvalid password for user {word(rng)}\n"
    ),
    "sql-token": lambda rng: f"SELECT id FROM sessions WHERE token IS NOT NULL AND user = '{word(rng)}';\n",
    "kubernetes-ref": lambda rng: (
        f"env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef:\n        name: {word(rng)}-db\n        key: password\n"
    ),
    "key-path": lambda rng: f"openssl req -new -key /etc/ssl/private/{word(rng)}.key -out {word(rng)}.csr\nssh -i ~/.ssh/id_ed25519 host\n",
    "password-file": lambda rng: f"POSTGRES_PASSWORD_FILE=/run/secrets/{word(rng)}-password\n",
    "etag": lambda rng: f'HTTP/1.1 200 OK\nETag: "{chars(rng, 32, HEX)}"\nX-Request-Id: {_uuid(rng)}\n',
    "asset-names": lambda rng: (
        f'<script src="/static/main.{chars(rng, 8, HEX)}.js"></script>\n<link href="/{word(rng)}.{chars(rng, 20, HEX)}.css">\n'
    ),
    "base64-text": lambda rng: f"echo {base64.b64encode(' '.join(rng.sample(WORDS, 6)).encode()).decode()} | base64 -d\n",
    "hex-dump": lambda rng: "".join(f"{row * 16:08x}  {' '.join(chars(rng, 2, HEX) for _ in range(16))}\n" for row in range(3)),
    "mac-and-ipv6": lambda rng: (
        f"ether {':'.join(chars(rng, 2, HEX) for _ in range(6))}\ninet6 fe80::{chars(rng, 4, HEX)}:{chars(rng, 4, HEX)}\n"
    ),
    "arn": lambda rng: f"arn:aws:iam::{rng.randint(10**11, 10**12)}:role/{word(rng)}-deploy\nami-{chars(rng, 17, HEX)}\n",
    "container-ids": lambda rng: f"{chars(rng, 12, HEX)}   nginx:1.27   {word(rng)}\ndocker logs {chars(rng, 64, HEX)}\n",
    "trace-ids": lambda rng: f"traceparent: 00-{chars(rng, 32, HEX)}-{chars(rng, 16, HEX)}-01\n",
    "html-form": lambda rng: f'<input type="password" name="password" placeholder="Your {word(rng)} password" autocomplete="off">\n',
    "translations": lambda rng: (
        f'{{"password": "Passwort", "token": "Schlüssel", "forgot_password": "Passwort vergessen?", "x": "{word(rng)}"}}'
    ),
    "json-schema": lambda rng: (
        f'{{"properties": {{"password": {{"type": "string", "minLength": {rng.randint(6, 20)}}}, "token": {{"$ref": "#/t"}}}}}}'
    ),
    "regex": lambda rng: f'TOKEN = re.compile(r"[A-Za-z0-9_-]{{{rng.randint(8, 40)}}}")\n',
    "bare-commands": lambda rng: f"find . -name '*.{word(rng)}' -mtime -{rng.randint(1, 90)} -exec gzip {{}} +\n",
    "tar-command": lambda rng: f"tar czf {word(rng)}-$(date +%F).tar.gz --exclude=node_modules {word(rng)}/\n",
    "password-commands": lambda rng: f"passwd {word(rng)}\nopenssl rand -base64 {rng.randint(16, 64)}\npwgen -s {rng.randint(12, 40)} 1\n",
    "readme": lambda rng: f"## Authentication\n\nSet `API_KEY` to the key from your {word(rng)} dashboard, or run `acme login`.\n",
    "minified": lambda rng: (
        f"!function(e,t){{var n=e.{word(rng)},r=t.token;n.secret=r||e.password,i(n,r,{rng.randint(1, 99)})}}(this,window);\n"
    ),
    "css-module": lambda rng: f'import s from "./{word(rng)}.css";\nconst cls = "Button_{word(rng)}__{chars(rng, 5, URLSAFE)}";\n',
    "csv-rows": lambda rng: "id,name,score\n" + "".join(f"{rng.randint(1, 10**6)},{word(rng)},{rng.random():.6f}\n" for _ in range(3)),
    "notebook-cell": lambda rng: (
        f'{{"cell_type": "code", "id": "{chars(rng, 8, HEX)}", "source": ["import {word(rng)}\\n"], "outputs": []}}'
    ),
    "session-names": lambda rng: (
        f'SESSION_COOKIE_NAME = "{word(rng)}_session"\nCSRF_COOKIE_NAME = "csrftoken"\nTOKEN_URL = "/oauth/token"\n'
    ),
    "published-example": lambda rng: "aws_access_key_id = " + "AKIA" + "IOSFODNN7" + "EXAMPLE" + f"\nregion = eu-{word(rng)}-1\n",
    "public-dsn": lambda rng: f'analytics_id = "G-{chars(rng, 10, ALNUM.upper())}"\nsite = "{word(rng)}.acme.io"\n',
    "uuid-constants": lambda rng: f'NAMESPACE = uuid.UUID("{_uuid(rng)}")\nGUID="{_uuid(rng).upper()}"\n',
    "terraform-reference": lambda rng: f'password = var.{word(rng)}_password\ntoken    = data.vault_secret.{word(rng)}.data["token"]\n',
}


def clean_cases(chosen: str, seed: int, each: int = 6) -> Iterator[Case]:
    """Clean texts of the families of one half, `each` of every family."""
    rng = Random(f"clean:{chosen}:{seed}")
    for family, make in CLEAN.items():
        if half(family) == chosen:
            for _ in range(each):
                yield Case(make(rng), False, family)
