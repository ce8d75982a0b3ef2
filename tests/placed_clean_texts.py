"""Clean texts in the places where `placed_texts` has secrets: placeholders, variables, look-ups, prompts, messages and sentences about
passwords, keys and sessions. `§` stands for somebody's name, `¢` for a digit, `¥` for a word, `¶` for an end of line."""

from __future__ import annotations

from collections.abc import Iterator

from placed_texts import half_of
from secret_texts import PEOPLE, Case, Random, word

_FAMILIES = r"""
setter-variables
dataSource.setPassword(password);
config.setPassword(config.getPassword2());
builder.password(passwordField.getText());
user.setPassword(encoder.encode(raw¢));
options.withPasswd(pw¢).connect();
setter-environment
dataSource.setPassword(System.getenv("DB_PASSWORD¢"));
config.setPassword(env["PASSWORD_¢"]);
client.setApiKey(os.Getenv("API_KEY¢"));
builder.password(props.getProperty("db.password¢"))
c.setPassword(Environment.GetEnvironmentVariable("PW¢"));
setter-placeholders
dataSource.setPassword("your-password");
dataSource.setPassword("<password>");
client.setApiKey("YOUR_API_KEY_¢");
config.setPassword("changeme¢");
builder.token("xxxxxxxxxxxx")
getters-of-secrets
String p = vault.getSecret("prod/db-pass¢");
secrets.getPassword("¥-db-¢");
store.findToken("refresh-v¢")
keyring.get_password("¥-service¢", user)
client.deleteSecret("¥-key-v¢");
lexer-tokens
return new Token("IDENTIFIER¢");
lexer.token("NUMBER_¢")
expectToken("kw_while¢")
nextToken("¥¢", 2)
parser.token('LPAREN¢')
prompts
password("Enter your password (8 to 64 characters): ")
getpass("New password ¢: ")
inquirer.password({ message: "Password for §?" })
setPassword(prompt("Repeat the password"))
Scaffold.password("Choose a password with ¢ digits")
messages-of-failure
throw new InvalidPassword("at least ¢ characters");
fail("Password must contain ¢ digits");
errors.password("is too short (minimum is ¢ characters)");
logger.token("token expired at step ¢");
raise BadToken("expected 'end¢'")
basic-auth-variables
req.SetBasicAuth(user, pass¢)
requests.get(url, auth=(USER, PASSWORD2))
.basic_auth(user, Some(password¢))
headers.setBasicAuth(user, cfg.getPassword¢())
http.basic_auth(ENV["USER"], ENV["PASS¢"])
basic-auth-names
auth=("user", "password")
HTTPBasicAuth("username", "password")
new NetworkCredential("user", "pass")
Credentials.basic("username", "password¢")
smtp.PlainAuth("", "user@example.com", "password", "mail.example.com")
connects-without
conn = psycopg2.connect(dsn)
socket.connect(("10.0.0.¢", 8080))
client.connect("10.0.0.¢", 1883, 60)
db.connect("host¢", "port¢")
signal.connect("clicked", "on_button¢")
connects-of-other-kinds
mongoose.connect("mongodb://localhost/app¢")
wifi.connect("guest-net", "open")
MySQLdb.connect("localhost", "root", "", "shop")
graph.connect("node¢", "node2b", "edge3c")
bus.connect("host", 22, "rpc", "v¢beta")
sql-sources
db, err := sql.Open("sqlite3", "file:app¢.db?cache=shared")
db, err := sql.Open("mysql", dsn)
db, err := sql.Open("mysql", "user:password@tcp(localhost:3306)/dbname")
db, err := sql.Open("postgres", os.Getenv("DATABASE_URL¢"))
sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s", u, p, h, d¢))
logins-of-pages
await loginPage.login("home", "dashboard");
app.login("/login¢", "/home¢")
page.login(user, next="/a1/b¢")
router.login("guest", { redirect: "/v¢" })
cy.login("admin", "password")
ftp-without
ftp.login("anonymous", "anonymous@")
ftp = FTP("ftp.acme.io", "anonymous", "guest")
ftp_login($c, $user, $pass¢);
ftp = FTP("ftp.acme.io")
FTP("ftp.acme.io", user, passwd¢)
cookies-of-looks
document.cookie = "theme=dark¢; path=/";
res.cookie("lang", "en-US¢");
Cookies.set("consent", "all-v¢");
response.set_cookie("session", session_id¢)
requests.get(url, cookies={"theme": "dark¢blue"})
cookies-cleared
document.cookie = "session=; expires=Thu, 01 Jan 1970 00:00:00 GMT";
res.clearCookie("session_token");
setcookie("session", "", time() - 3600);
response.delete_cookie("sessionid")
cookies["session"] = None
cookie-names
app.secret_cookie_name("session_v¢")
SESSION_COOKIE = "connect.sid¢"
request.cookies.get("sessionid¢")
cookies["session_id"] = generate_session(¢)
res.cookie("token", token¢, { httpOnly: true });
jwt-variables
jwt.sign(payload, process.env.JWT_SECRET¢)
jwt.encode(payload, settings.SECRET_KEY, algorithm="HS256")
jwt.verify(token, publicKey¢, { algorithms: ["RS256"] })
JWT.decode(token, nil, false)
token.SignedString(signingKey¢)
jwt-names
jwt.sign(payload, "secret")
jwt.encode(payload, "your-256-bit-secret")
Algorithm.HMAC256("secret")
jwt.decode(token, "secret", algorithms=["HS256"])
.signWith(SignatureAlgorithm.RS256, privateKey¢)
hmac-variables
hmac.new(key¢, body, hashlib.sha256)
crypto.createHmac("sha256", secret¢)
hash_hmac('sha256', $data, $key¢)
OpenSSL::HMAC.hexdigest("SHA256", key, body¢)
Mac.getInstance("HmacSHA256")
ciphers
Cipher.getInstance("AES/CBC/PKCS5Padding")
KeyFactory.getInstance("PBKDF2WithHmacSHA¢")
crypto.createHash("sha256").update("hello¥¢")
KeyGenerator.getInstance("AES256")
new SecretKeySpec(bytes¢, "HmacSHA256");
key-value-stores
redis.set("user:¢:name", "¥¢x")
cache.put("key¢", "value¢")
map.set("password_field", "input2b")
localStorage.setItem("theme", "dark¢")
store.key("¥¢x")
redis-variables
r = redis.Redis("cache", 6379, 0)
r = redis.Redis("cache", 6379, 0, None)
redis.Redis(host, port, db, password¢)
redis.Redis("cache", 6379, 0, os.environ["REDIS_PW¢"])
r.auth(password¢)
ldap-without
l.simple_bind_s("", "")
conn = Connection(server, user, password¢)
l.bind_s(dn, pw¢)
socket.bind("tcp", "0.0.0.0:808¢")
$(el).bind("click", "handler2b")
binds-of-other-kinds
container.bind("UserService", "impl¢a")
query.bind("name¢", "value¢b")
widget.bind("<Button-¢>", "callback2")
stmt.bind(1, "¥¢x")
queue.bind("exchange¢", "routing.key2")
forms-in-tests
page.fill("#username", "¥¢x")
page.fill("#password", password¢)
cy.get("#search").type("¥¢x")
cy.get("#password").type("{enter}")
cy.get("#password").should("have.class", "is-invalid¢")
labels-of-forms
<label for="password">Password (8+ characters)</label>
<input name="password" id="password¢" />
label("password", "Password¢")
TextField(hint: "Password", key: "pw_field¢")
form.password("password", "id_password¢")
hashes-of-variables
bcrypt.hashpw(password¢, salt)
generate_password_hash(form.password.data)
Hash::make($request->password¢)
password_verify($input¢, $hash)
user.set_password(data["password¢"])
keystores-of-names
KeyStore.getInstance("PKCS12")
keyStore.load(null, null);
keyStore.getKey("alias¢", password)
new X509Certificate2("cert¢.pfx")
keyStore.load(stream¢, pass.toCharArray());
auth-lists
auth = ["read", "write", "admin2x"]
auth: ["jwt", "oauth2"]
permissions.auth("read:all¢", "write:v2")
auth.basic("realm", "users.v¢")
auth=("bearer", "v¢token")
auth-middleware
app.use(passport.authenticate("jwt", "oauth2"))
@UseAuth("basic", "oauth¢")
authenticate("local2", "google2")
withAuth("admin¢", Component2)
auth.guard("api", "v¢")
credentials-of-types
credentials.get("type", "oauth2")
Credentials("service_account", "v¢")
navigator.credentials.create("webauthn¢")
fetch(url, { credentials: "same-origin¢" })
Credentials::new(user.clone(), password¢)
type-names
def password(value: Password2) -> str: ...
function setPassword(password: string, salt: Salt2): void {
fn basic_auth(user: &str, password: Option<&str>) -> Auth2 {
public void setPassword(char[] password¢) {
func SetBasicAuth(username, password string) error {
i18n-tables
"password": "Passwort¢",
password: { en: "Password", de: "Passwort", tr: "Şifre2" },
t("password.reset.v¢")
msgid "Password"¶msgstr "Mot de passe"
login.password=Wachtwoord
test-names
it("sets the password (case ¢)", () => {
def test_set_password_v¢(): ...
describe("setPassword v¢", suite)
test("password is hashed with bcrypt¢", fn)
@Test void loginWithPassword¢() {
english-rules
The password must have ¢ digits and 2 capitals.
The password is required from version v2.¢ on.
The password is stored as a SHA-256 hash.
Your password is checked against PBKDF2 rules.
The password for the user is kept in vault2.yaml.
english-login-rules
Log in with OAuth2 / SAML2 as your provider says.
Log in with your e-mail address and password.
Sign in with Google or Web3 wallets.
Log in as admin with SHA256 as the method.
You can log in with IPv6 / IPv4 addresses.
english-use-rules
Use SHA256 as the password hash.
Use base64 as the password encoding.
Use at least ¢ characters as the password.
Use HTTP/2 to log in faster.
Use pip3 as the key to success.
english-credential-rules
The credentials are stored in ~/.aws/config¢.
The credentials are user2's and the team's.
Credentials: see section ¢.2.
Credentials are checked by OAuth2 and JWT.
The credentials are valid until 2027-01-0¢.
english-inverted-rules
PBKDF2 is the password hash in use.
Argon2id is the password algorithm.
Step2 is the password page.
Version 2.¢ was the last password release.
RFC7617 is the password standard.
english-key-rules
The key (id2) is stored in the table.
The key (F¢) opens the menu.
The token type is RS256 and the key id is kid2.
Press the key (ctrl+k2) twice.
The primary key is user_id¢.
english-token-rules
A token is ¢ characters long.
The token is a JWT signed by ES256.
The access token is valid for ¢ minutes.
Token: base64url of the SHA-256 digest
The tokenizer's next token is '¥¢'.
portuguese-rules
A senha é obrigatória desde a versão v2.
A senha deve ter ¢ caracteres.
A senha é guardada com SHA256.
Senha: obrigatória
Use a senha do usuário admin.
spanish-rules
La contraseña debe tener ¢ caracteres.
La contraseña es obligatoria desde v2.¢.
La contraseña se guarda con bcrypt2.
Contraseña: mínimo ¢ caracteres
La clave primaria es user_id¢.
french-rules
Le mot de passe est obligatoire depuis v2.¢.
Le mot de passe doit contenir ¢ chiffres.
Le mot de passe est haché par SHA256.
Mot de passe : ¢ caractères au moins
Mot de passe oublié ?
german-rules
Das Passwort muss ¢ Zeichen haben.
Das Passwort ist mit SHA256 verschlüsselt.
Das Passwort lautet anders als der Name.
Passwort: mindestens ¢ Zeichen
Das Passwort des Benutzers user¢ ist falsch.
italian-rules
La password deve avere ¢ caratteri.
La password è cifrata con AES256.
La password è obbligatoria da v2.¢.
Password: almeno ¢ caratteri
La password del sito è scaduta.
dutch-rules
Het wachtwoord moet ¢ tekens hebben.
Het wachtwoord is met SHA256 opgeslagen.
Het wachtwoord is verplicht sinds v2.¢.
Wachtwoord: minstens ¢ tekens
Het wachtwoord is onjuist.
polish-rules
Hasło musi mieć ¢ znaków.
Hasło jest zapisane jako SHA256.
Hasło jest wymagane od wersji v2.¢.
Hasło: co najmniej ¢ znaków
Hasło to ciąg znaków.
russian-rules
Пароль должен содержать ¢ символов.
Пароль хранится как SHA256.
Пароль обязателен с версии v2.¢.
Пароль: не менее ¢ символов
Пароль — это строка.
swedish-rules
Lösenordet måste ha ¢ tecken.
Lösenordet är krypterat med AES256.
Lösenordet är obligatoriskt från v2.¢.
Lösenord: minst ¢ tecken
Lösenordet är fel.
turkish-rules
Şifre en az ¢ karakter olmalı.
Şifre SHA256 ile saklanır.
Şifre v2.¢ sürümünden beri zorunlu.
Şifre: en az ¢ karakter
Şifre AES256 ile korunur.
japanese-rules
パスワードは¢文字以上です。
パスワードはSHA256で保存されます。
パスワード：必須
パスワードを忘れた場合はv2.¢へ。
パスワードはbase64で送信されます。
chinese-rules
密码至少¢个字符。
密码使用SHA256加密。
密码：必填
密码为空时返回error¢。
密码是用bcrypt2保存的。
korean-rules
비밀번호는 ¢자 이상입니다.
비밀번호는 SHA256으로 저장됩니다.
비밀번호: 필수
비밀번호는 v2.¢부터 필요합니다.
비밀번호는 base64로 보냅니다.
nordic-and-slavic-rules
Adgangskoden er påkrævet fra v2.¢.
Passordet er lagret som SHA256.
Salasana on pakollinen versiosta v2.¢.
Heslo je uloženo jako SHA256.
Heslo musí mít ¢ znaků.
shell-calls
curl_setopt($ch, CURLOPT_USERPWD, "$user:$pass¢");
curl -u "$USER:$PASS¢" https://acme.io
btoa(user + ":" + pass¢)
btoa("hello¥¢")
Buffer.from("name:value").toString("base64")
documentation-of-calls
`setPassword(String password)` sets the password, see RFC7617.
:param password: the password of user2
@param token the token of version v¢
`auth=(user, password)` takes a pair since v2.¢.
`jwt.sign(payload, secret)` wants a secret of 32bytes.
named-arguments
connect(host: "db¢", user: user, password: env.password¢)
Client(user = "guest", password = readLine())
let c = URLCredential(user: name, password: pw¢, persistence: .none)
login(user: "guest", password: "")
Credentials(username: "user¢", password: password!)
mail-variables
smtp.login(user, password¢)
smtp.PlainAuth("", user, pw¢, host)
new PasswordAuthentication(user, pass¢);
Net::SMTP.start(host, 587, helo, user, ENV["PW¢"], :login)
transport.connect(host, user, password¢);
"""


def _families() -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    lines: list[str] = []
    for number, line in enumerate(_FAMILIES.strip("\n").split("\n")):
        if number % 6 == 0:
            lines = families.setdefault(line, [])
        else:
            lines.append(line)
    return families


FAMILIES = _families()


def placed_clean_cases(chosen: str, seed: int) -> Iterator[Case]:
    """Clean texts of the families of one half, one for each line of a family."""
    rng = Random(f"placed-clean:{chosen}:{seed}")
    made = {"§": lambda: rng.choice(PEOPLE), "¢": lambda: rng.choice("23456789"), "¥": lambda: word(rng), "¶": lambda: "\n"}
    for family, lines in FAMILIES.items():
        if half_of(family) == chosen:
            for line in lines:
                yield Case("".join(made[sign]() if sign in made else sign for sign in line), False, family)
