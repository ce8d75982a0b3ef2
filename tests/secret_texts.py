"""Random secrets in the formats of their issuers, in the places where they leak, and clean texts that look like them.

No secret stands in this file: each is made from parts by a seeded random source. Formats, places and clean families are divided into a
tuning half and a test half by a hash of their names, so that a scanner can be tuned on one half and measured once on the other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Random = random.Random
Make = Callable[[Random], str]

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
BASE32 = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"
SYMBOLS = "!@#%^&*-_=+?"


@dataclass(frozen=True, slots=True)
class Case:
    """A text, whether it holds a secret, the family it comes from, and the secret itself (empty for a clean text)."""

    text: str
    is_secret: bool
    family: str
    secret: str = ""


def chars(rng: Random, count: int, alphabet: str = ALNUM) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


def b64(rng: Random, count: int) -> str:
    return base64.b64encode(rng.randbytes(count)).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def crc_base62(body: str) -> str:
    """The last six characters of a GitHub or npm token: CRC32 of the random part in base 62."""
    number, out = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        out = BASE62[digit] + out
    return out.rjust(6, "0")


def checked(prefix: str, count: int) -> Make:
    def make(rng: Random) -> str:
        body = chars(rng, count)
        return prefix + body + crc_base62(body)

    return make


def of(prefix: str, count: int, alphabet: str = ALNUM, suffix: str = "") -> Make:
    return lambda rng: prefix + chars(rng, count, alphabet) + suffix


def jwt(rng: Random) -> str:
    head = json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode()
    body = json.dumps({"sub": str(rng.randrange(10**9)), "name": word(rng), "iat": rng.randrange(1_600_000_000, 1_790_000_000)}).encode()
    return ".".join(b64url(part) for part in (head, body, rng.randbytes(32)))


def pem(label: str, count: int) -> Make:
    def make(rng: Random) -> str:
        body = base64.b64encode(b"\x30\x82\x04\xa4\x02\x01\x00" + rng.randbytes(count)).decode()
        lines = [body[start : start + 64] for start in range(0, len(body), 64)]
        return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])

    return make


def discord(rng: Random) -> str:
    snowflake = str(rng.randrange(10**17, 10**18))
    return f"{b64url(snowflake.encode())}.{chars(rng, 6, URLSAFE)}.{chars(rng, 38, URLSAFE)}"


def strong_password(rng: Random) -> str:
    text = chars(rng, rng.randint(8, 18), ALNUM + SYMBOLS)
    return text + rng.choice(string.digits) + rng.choice("!@*-_+") + rng.choice(string.ascii_uppercase) + rng.choice(string.ascii_lowercase)


WORDS = ["river", "copper", "lantern", "winter", "tiger", "orbit", "meadow", "falcon"]
WORDS += ["harbor", "velvet", "thunder", "maple", "cobalt", "summit", "ember", "quartz"]
HOSTS = ["db.internal", "prod-db.acme.io", "10.0.4.17", "cache.eu-west-1.acme.net", "queue01", "mongo.prod.acme.cloud"]
PEOPLE = ["deploy", "admin", "svc_report", "anna", "root", "ci-bot", "app_user", "billing"]


def word(rng: Random) -> str:
    return rng.choice(WORDS)


def human_password(rng: Random) -> str:
    first, second = word(rng).capitalize(), word(rng)
    return rng.choice(
        [
            f"{first}{second.capitalize()}{rng.randint(10, 9999)}{rng.choice('!@#%*')}",
            f"{first.replace('e', '3').replace('a', '@')}{rng.choice('!_-')}{second}{rng.randint(10, 99)}",
            f"{first}-{rng.randint(100, 999)}-{second.upper()}",
        ]
    )


def azure_storage(rng: Random) -> str:
    return b64(rng, 64)


def grafana(rng: Random) -> str:
    body = chars(rng, 32)
    return f"glsa_{body}_{zlib.crc32(body.encode()):08x}"


def pypi(rng: Random) -> str:
    return "pypi-" + b64url(b"\x02\x01\x08pypi.org\x02$" + str(uuid.UUID(int=rng.getrandbits(128))).encode() + rng.randbytes(70))


# Formats that a person recognizes wherever they stand.
MARKED: dict[str, Make] = {
    "aws-access-key-id": of("AK" + "IA", 16, BASE32),
    "github-classic": checked("gh" + "p_", 30),
    "github-oauth": checked("gh" + "o_", 30),
    "github-fine-grained": lambda rng: "github" + "_pat_" + chars(rng, 22) + "_" + chars(rng, 59),
    "gitlab-personal": of("gl" + "pat-", 20, URLSAFE),
    "slack-bot": lambda rng: f"xo{'xb'}-{rng.randrange(10**11, 10**12)}-{rng.randrange(10**12, 10**13)}-{chars(rng, 24)}",
    "slack-webhook": lambda rng: f"https://hooks.slack.com/services/T{chars(rng, 10, BASE32)}/B{chars(rng, 10, BASE32)}/{chars(rng, 24)}",
    "stripe-live": of("sk_" + "live_", 24),
    "stripe-restricted": of("rk_" + "live_", 99),
    "google-api": of("AI" + "za", 35, URLSAFE),
    "google-oauth-secret": of("GOC" + "SPX-", 28, URLSAFE),
    "openai-project": lambda rng: "sk-" + "proj-" + chars(rng, 74, URLSAFE) + "T3Blbk" + "FJ" + chars(rng, 74, URLSAFE),
    "anthropic": lambda rng: "sk-" + "ant-api03-" + chars(rng, 93, URLSAFE) + "AA",
    "huggingface": of("h" + "f_", 34, string.ascii_letters),
    "npm": checked("np" + "m_", 30),
    "pypi": pypi,
    "sendgrid": lambda rng: "S" + "G." + chars(rng, 22, URLSAFE) + "." + chars(rng, 43, URLSAFE),
    "mailgun": of("ke" + "y-", 32, HEX),
    "mailchimp": lambda rng: chars(rng, 32, HEX) + f"-us{rng.randint(1, 21)}",
    "digitalocean": of("dop" + "_v1_", 64, HEX),
    "telegram-bot": lambda rng: f"{rng.randrange(10**9, 10**10)}:AA{chars(rng, 33, URLSAFE)}",
    "discord-bot": discord,
    "jwt": jwt,
    "shopify": of("shp" + "at_", 32, HEX),
    "square": of("sq0" + "atp-", 22, URLSAFE),
    "dockerhub": of("dckr" + "_pat_", 27, URLSAFE),
    "vault": of("hv" + "s.", 95, URLSAFE),
    "terraform-cloud": lambda rng: chars(rng, 14) + ".atla" + "sv1." + chars(rng, 67, URLSAFE),
    "databricks": of("da" + "pi", 32, HEX),
    "grafana": grafana,
    "linear": of("lin" + "_api_", 40),
    "notion": of("nt" + "n_", 46),
    "newrelic": of("NR" + "AK-", 27, string.ascii_uppercase + string.digits),
    "postman": lambda rng: "PM" + "AK-" + chars(rng, 24, HEX) + "-" + chars(rng, 34, HEX),
    "planetscale": of("pscale" + "_tkn_", 43, URLSAFE),
    "rubygems": of("ruby" + "gems_", 48, HEX),
    "doppler": of("dp" + ".pt.", 43),
    "azure-ad-secret": lambda rng: chars(rng, 3) + "8Q~" + chars(rng, 34, URLSAFE),
    "tailscale": lambda rng: "tsk" + "ey-auth-" + chars(rng, 12) + "CNTRL-" + chars(rng, 32),
    "replicate": of("r8" + "_", 37),
    "groq": of("gs" + "k_", 52),
    "supabase": of("sb" + "p_", 40, HEX),
    "figma": of("fig" + "d_", 40, URLSAFE),
    "rsa-private-key": pem("RSA PRIVATE " + "KEY", 1180),
    "pkcs8-private-key": pem("PRIVATE " + "KEY", 1200),
    "ec-private-key": pem("EC PRIVATE " + "KEY", 110),
    "openssh-private-key": pem("OPENSSH PRIVATE " + "KEY", 380),
}

# Values that only their name gives away: value and the names they stand under.
NAMED: dict[str, tuple[Make, str]] = {
    "aws-secret": (lambda rng: b64(rng, 30), "aws_secret_access_key AWS_SECRET_ACCESS_KEY awsSecretKey"),
    "twilio-auth": (of("", 32, HEX), "TWILIO_AUTH_TOKEN twilio_auth_token twilioAuthToken"),
    "datadog-api": (of("", 32, HEX), "DD_API_KEY datadog_api_key DATADOG_API_KEY"),
    "datadog-app": (of("", 40, HEX), "DD_APP_KEY datadog_app_key"),
    "heroku-uuid": (lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)), "HEROKU_API_KEY heroku_api_key"),
    "strong-password": (strong_password, "password DB_PASSWORD MYSQL_ROOT_PASSWORD smtp_password admin_password"),
    "human-password": (human_password, "password db_password DB_PASS PGPASSWORD userPassword"),
    "django-key": (lambda rng: chars(rng, 50, string.ascii_lowercase + string.digits + "!@#%^&*(-_=+)"), "SECRET_KEY DJANGO_SECRET_KEY"),
    "rails-key": (of("", 128, HEX), "SECRET_KEY_BASE secret_key_base"),
    "client-secret": (of("", 32), "client_secret OAUTH_CLIENT_SECRET clientSecret"),
    "opaque-token": (of("", 40), "access_token ACCESS_TOKEN api_token authToken SONAR_TOKEN"),
    "opaque-api-key": (of("", 32), "api_key API_KEY apiKey WEATHER_API_KEY"),
    "wireguard": (lambda rng: b64(rng, 32), "PrivateKey private_key WG_PRIVATE_KEY"),
    "encryption-key": (lambda rng: b64(rng, 32), "ENCRYPTION_KEY encryption_key masterKey"),
    "jwt-signing": (of("", 64, URLSAFE), "JWT_SECRET jwt_secret jwtSecret"),
    "azure-storage-key": (azure_storage, "AZURE_STORAGE_KEY storage_account_key"),
    "passphrase": (lambda rng: "-".join(rng.sample(WORDS, 4)) + str(rng.randint(10, 99)), "passphrase KEY_PASSPHRASE"),
    "redis-password": (of("", 24), "REDIS_PASSWORD requirepass redis_password"),
}

Place = Callable[[Random, str, str], str]
PLACES: dict[str, Place] = {
    "env": lambda rng, name, value: f"DEBUG=false\n{name}={value}\nPORT=8080\n",
    "env-quoted": lambda rng, name, value: f'LOG_LEVEL=info\n{name}="{value}"\n',
    "export": lambda rng, name, value: f"export {name}='{value}'\n./deploy.sh --stage prod\n",
    "yaml": lambda rng, name, value: f"service:\n  replicas: 2\n  {name}: {value}\n",
    "yaml-quoted": lambda rng, name, value: f'app:\n  {name}: "{value}"\n  timeout: 30\n',
    "json": lambda rng, name, value: json.dumps({"host": "api.acme.io", name: value, "retries": 3}, indent=rng.choice([None, 2])),
    "python": lambda rng, name, value: f'import client\n\n{name} = "{value}"\nclient.connect({name})\n',
    "python-call": lambda rng, name, value: f'client = Client(host="acme.io", {name}="{value}")\n',
    "javascript": lambda rng, name, value: f"const {name.replace('-', '_')} = '{value}';\nmodule.exports = {{ port: 3000 }};\n",
    "js-object": lambda rng, name, value: f"const config = {{\n  region: 'eu',\n  {name}: '{value}',\n}};\n",
    "go": lambda rng, name, value: f'var {name} = "{value}"\n\nfunc main() {{ run() }}\n',
    "java": lambda rng, name, value: f'private static final String {name} = "{value}";\n',
    "compose": lambda rng, name, value: f"services:\n  web:\n    environment:\n      - {name}={value}\n      - TZ=UTC\n",
    "dockerfile": lambda rng, name, value: f"FROM python:3.12\nENV {name}={value}\nRUN make\n",
    "ci": lambda rng, name, value: f"jobs:\n  build:\n    env:\n      {name}: {value}\n    steps:\n      - run: make test\n",
    "ini": lambda rng, name, value: f"[server]\nport = 443\n{name} = {value}\n",
    "properties": lambda rng, name, value: f"spring.app.name=shop\nshop.{name}={value}\n",
    "terraform": lambda rng, name, value: f'provider "x" {{\n  region = "eu"\n  {name} = "{value}"\n}}\n',
    "flag": lambda rng, name, value: f"acme deploy --{name.lower().replace('_', '-')}={value} --wait\n",
    "flag-space": lambda rng, name, value: f"acme login --{name.lower().replace('_', '-')} '{value}'\n",
    "query": lambda rng, name, value: f'curl "https://api.acme.io/v1/items?limit=5&{name}={value}"\n',
    "header": lambda rng, name, value: f'curl -H "X-{name.replace("_", "-")}: {value}" https://api.acme.io/v1/items\n',
    "log": lambda rng, name, value: f"2026-03-0{rng.randint(1, 9)}T10:22:31Z INFO starting worker {name}={value} region=eu\n",
    "xml": lambda rng, name, value: f"<config>\n  <{name}>{value}</{name}>\n</config>\n",
    "powershell": lambda rng, name, value: f'$env:{name} = "{value}"\nInvoke-Build\n',
    "toml": lambda rng, name, value: f'[auth]\nenabled = true\n{name} = "{value}"\n',
    "chat": lambda rng, name, value: f"Set up the app. Use this for {name}: {value} and restart it.",
}
BARE_PLACES: dict[str, Callable[[Random, str], str]] = {
    "bearer": lambda rng, value: f'curl -H "Authorization: Bearer {value}" https://api.acme.io/v1/me\n',
    "prose": lambda rng, value: f"I rotated it yesterday, the new one is {value} so please update the server.",
    "log-bare": lambda rng, value: f"[debug] request sent with credentials {value} (status 200)\n",
    "command": lambda rng, value: f"echo {value} | acme login --stdin\n",
    "comment": lambda rng, value: f"# old: {value}\nrun()\n",
    "list": lambda rng, value: f'TOKENS = [\n    "{value}",\n]\n',
}
MARKED_NAMES = ["token", "TOKEN", "API_KEY", "api_key", "secret", "ACCESS_TOKEN", "credentials", "AUTH_TOKEN"]


def basic(rng: Random) -> tuple[str, str]:
    value = base64.b64encode(f"{rng.choice(PEOPLE)}:{strong_password(rng)}".encode()).decode()
    return f'curl -H "Authorization: Basic {value}" https://acme.io/api\n', value


def bearer(rng: Random) -> tuple[str, str]:
    value = chars(rng, rng.randint(32, 60))
    return f"GET /v1/me HTTP/1.1\nHost: acme.io\nAuthorization: Bearer {value}\n", value


def url(scheme: str, port: int) -> Callable[[Random], tuple[str, str]]:
    def make(rng: Random) -> tuple[str, str]:
        value = rng.choice([chars(rng, 16), human_password(rng).replace("@", "").replace("#", "")])
        return f"{scheme.upper()}_URL={scheme}://{rng.choice(PEOPLE)}:{value}@{rng.choice(HOSTS)}:{port}/app\n", value

    return make


def https(rng: Random) -> tuple[str, str]:
    value = chars(rng, 20)
    return f"git clone https://{rng.choice(PEOPLE)}:{value}@git.acme.io/team/repo.git\n", value


def netrc(rng: Random) -> tuple[str, str]:
    value = strong_password(rng)
    return f"machine api.acme.io\n  login {rng.choice(PEOPLE)}\n  password {value}\n", value


def pgpass(rng: Random) -> tuple[str, str]:
    value = chars(rng, 18)
    return f"# ~/.pgpass\n{rng.choice(HOSTS)}:5432:app:{rng.choice(PEOPLE)}:{value}\n", value


def npmrc(rng: Random) -> tuple[str, str]:
    value = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return f"@acme:registry=https://npm.acme.io/\n//npm.acme.io/:_authToken={value}\n", value


def docker_config(rng: Random) -> tuple[str, str]:
    value = base64.b64encode(f"{rng.choice(PEOPLE)}:{strong_password(rng)}".encode()).decode()
    return json.dumps({"auths": {"registry.acme.io": {"auth": value}}}, indent=2), value


def azure(rng: Random) -> tuple[str, str]:
    value = azure_storage(rng)
    return (
        f"DefaultEndpointsProtocol=https;AccountName=shop{rng.randint(1, 99)};AccountKey={value};EndpointSuffix=core.windows.net\n",
        value,
    )


def servicebus(rng: Random) -> tuple[str, str]:
    value = b64(rng, 32)
    name = f"Endpoint=sb://acme{rng.randint(1, 99)}.servicebus.windows.net/;SharedAccessKeyName=RootManage;SharedAccessKey={value}"
    return f'conn = "{name}"\n', value


def service_account(rng: Random) -> tuple[str, str]:
    value = pem("PRIVATE " + "KEY", 1200)(rng)
    fields = {"type": "service_account", "project_id": "acme", "private_key_id": chars(rng, 40, HEX), "private_key": value + "\n"}
    return json.dumps({**fields, "client_email": "ci@acme.iam.gserviceaccount.com"}, indent=2), value.splitlines()[1]


def kubernetes(rng: Random) -> tuple[str, str]:
    value = base64.b64encode(strong_password(rng).encode()).decode()
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\ndata:\n  password: {value}\n", value


def curl_user(rng: Random) -> tuple[str, str]:
    value = strong_password(rng)
    return f"curl -u '{rng.choice(PEOPLE)}:{value}' https://acme.io/export.csv -o export.csv\n", value


def sshpass(rng: Random) -> tuple[str, str]:
    value = human_password(rng)
    return f"sshpass -p '{value}' ssh {rng.choice(PEOPLE)}@{rng.choice(HOSTS)} uptime\n", value


def mysql(rng: Random) -> tuple[str, str]:
    value = chars(rng, 14)
    return f"mysql -h {rng.choice(HOSTS)} -u {rng.choice(PEOPLE)} -p{value} shop < dump.sql\n", value


def identified(rng: Random) -> tuple[str, str]:
    value = strong_password(rng)
    return f"CREATE USER '{rng.choice(PEOPLE)}'@'%' IDENTIFIED BY '{value}';\n", value


def jdbc(rng: Random) -> tuple[str, str]:
    value = chars(rng, 16)
    return f"jdbc:postgresql://{rng.choice(HOSTS)}:5432/app?user={rng.choice(PEOPLE)}&password={value}\n", value


def ado(rng: Random) -> tuple[str, str]:
    value = strong_password(rng).replace("=", "x")
    return f'"Server=tcp:{rng.choice(HOSTS)},1433;Database=app;User ID={rng.choice(PEOPLE)};Password={value};Encrypt=true"\n', value


def sas(rng: Random) -> tuple[str, str]:
    value = b64(rng, 32).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return f"https://acme.blob.core.windows.net/data/x.csv?sv=2024-08-04&se=2027-01-01&sr=b&sp=r&sig={value}\n", value


# Formats with a place of their own: the text and the secret in it.
WHOLE: dict[str, Callable[[Random], tuple[str, str]]] = {
    "basic-header": basic,
    "bearer-header": bearer,
    "postgresql-url": url("postgresql", 5432),
    "mysql-url": url("mysql", 3306),
    "redis-url": url("redis", 6379),
    "amqp-url": url("amqp", 5672),
    "mongodb-url": url("mongodb", 27017),
    "https-user-url": https,
    "netrc": netrc,
    "pgpass": pgpass,
    "npmrc-legacy": npmrc,
    "docker-config": docker_config,
    "azure-connection": azure,
    "servicebus-connection": servicebus,
    "gcp-service-account": service_account,
    "kubernetes-secret": kubernetes,
    "curl-user": curl_user,
    "sshpass": sshpass,
    "mysql-flag": mysql,
    "sql-identified-by": identified,
    "jdbc-url": jdbc,
    "ado-connection": ado,
    "azure-sas": sas,
}


def half(name: str) -> str:
    """The half that a family belongs to: `tuning` or `test`."""
    return "test" if hashlib.sha256(f"secrets:{name}".encode()).digest()[0] & 1 else "tuning"


def secret_cases(chosen: str, seed: int, each: int = 6) -> Iterator[Case]:
    """Texts with a secret of the formats and places of one half, `each` of every format."""
    rng = Random(f"{chosen}:{seed}")
    places = [name for name in PLACES if half(name) == chosen]
    bare = [name for name in BARE_PLACES if half(name) == chosen]
    for family, make in MARKED.items():
        if half(family) != chosen:
            continue
        for _ in range(each):
            value = make(rng)
            if "\n" in value:
                yield Case(f"-- key --\n{value}\n", True, family, value.splitlines()[1])
            elif rng.random() < 0.4:
                place = rng.choice(bare)
                yield Case(BARE_PLACES[place](rng, value), True, f"{family}/{place}", value)
            else:
                place = rng.choice(places)
                yield Case(PLACES[place](rng, rng.choice(MARKED_NAMES), value), True, f"{family}/{place}", value)
    for family, (make, names) in NAMED.items():
        if half(family) != chosen:
            continue
        for _ in range(each):
            value, place = make(rng), rng.choice(places)
            yield Case(PLACES[place](rng, rng.choice(names.split()), value), True, f"{family}/{place}", value)
    for family, whole in WHOLE.items():
        if half(family) != chosen:
            continue
        for _ in range(each):
            text, value = whole(rng)
            yield Case(text, True, family, value)
