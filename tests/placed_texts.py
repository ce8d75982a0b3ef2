"""Secrets that a call of a library, a cookie or a sentence holds, in forms of twelve programming and eighteen other languages.

In a form `@` stands for the value, which a seeded random source makes. Forms are divided as the formats of `secret_texts` are.
"""

from __future__ import annotations

from collections.abc import Iterator

from secret_texts import ALNUM, HEX, PEOPLE, Case, Random, b64, chars, half, human_password, word

# Values without a sign that quotes or a sentence's end could take for its own.
PASSWORDS = ("human", "short", "drawn", "signs")


def _value(rng: Random, kind: str) -> str:
    if kind == "key":
        return rng.choice([chars(rng, rng.randint(24, 44)), chars(rng, 32, HEX), b64(rng, 24)])
    if kind == "session":
        return rng.choice([chars(rng, 32, HEX), chars(rng, 26)])
    made = rng.choice(PASSWORDS)
    if made == "human":
        return human_password(rng).rstrip("!")
    if made == "short":
        return word(rng).replace("e", "3").replace("o", "0") + str(rng.randint(2, 99)) + rng.choice("ABKQX")
    if made == "drawn":
        return "k" + chars(rng, rng.randint(8, 14)) + str(rng.randint(2, 9))
    return chars(rng, 4, ALNUM) + rng.choice("!#%*") + chars(rng, 5, ALNUM) + rng.choice("23456789") + "Qx"


# A form's name, the kind of its values, and its texts, one a line; `~` stands for an end of line, `§` for somebody's name.
_FORMS = r"""
java-setters password
dataSource.setPassword("@");
config.setUsername("§");¶config.setPassword("@");
return Client.builder().username("§").password("@").build();
options.withPasswd("@").connect();
factory.setPwd("@".toCharArray());
java-http password
provider.setCredentials(scope, new UsernamePasswordCredentials("§", "@"));
String credential = Credentials.basic("§", "@");
headers.setBasicAuth("§", "@");
given().auth().preemptive().basic("§", "@").get("/v1");
http.perform(get("/").with(httpBasic("§", "@")));
java-mail password
return new PasswordAuthentication("§", "@".toCharArray());
return new PasswordAuthentication("§@acme.io", "@");
transport.connect("smtp.acme.io", "§", "@");
store.connect("imap.acme.io", 993, "§", "@");
email.setAuthenticator(new DefaultAuthenticator("§", "@"));
java-datasource password
Connection c = dataSource.getConnection("§", "@");
new SingleConnectionDataSource(url, "§", "@", true);
new DriverManagerDataSource("jdbc:h2:mem:x", "§", "@");
try (Connection c = DriverManager.getConnection(URL, "§", "@")) {
Connection c = DriverManager.getConnection("jdbc:oracle:thin:§/@@db:1521:x");
java-keystore password
keyStore.load(stream, "@".toCharArray());
Key key = store.getKey("alias", "@".toCharArray());
factory.init(keyStore, "@".toCharArray());
new PBEKeySpec("@".toCharArray(), salt, 65536, 256);
sslContext.loadKeyMaterial(store, "@".toCharArray());
java-signing key
.signWith(SignatureAlgorithm.HS256, "@")
Algorithm algorithm = Algorithm.HMAC256("@");
Keys.hmacShaKeyFor("@".getBytes(StandardCharsets.UTF_8));
new SecretKeySpec("@".getBytes(), "HmacSHA256");
Jwts.parser().setSigningKey("@").parse(jwt);
java-brokers password
Connection c = factory.createConnection("§", "@");
new ActiveMQConnectionFactory("§", "@", "tcp://mq:61616");
builder.withAuthCredentials("§", "@").build();
Driver d = GraphDatabase.driver(uri, AuthTokens.basic("§", "@"));
Cluster cluster = Cluster.connect("couch.acme.io", "§", "@");
kotlin-builders password
val client = Client(url).apply { setPassword("@") }
builder.authenticator { _, r -> r.header("Authorization", Credentials.basic("§", "@")) }
install(Auth) { basic { credentials { BasicAuthCredentials(username = "§", password = "@") } } }
session.setPassword("@".toByteArray())
Database.connect(url, driver = "org.h2.Driver", user = "§", password = "@")
scala-clients password
Authorization(BasicHttpCredentials("§", "@"))
ws.url(u).withAuth("§", "@", WSAuthScheme.BASIC).get()
Database.forURL(url, user = "§", password = "@")
val t = Transactor.fromDriverManager("org.h2.Driver", url, "§", "@")
ConnectionPool.singleton("jdbc:h2:mem:x", "§", "@")
python-mail password
server.login("§", "@")
with smtplib.SMTP("mail", 587) as s:¶    s.login("§@acme.io", "@")
M.login("§", "@")
yagmail.SMTP("§", "@")
box.pass_("@")
python-ftp password
ftp = FTP("ftp.acme.io", "§", "@")
with ftplib.FTP_TLS("ftp.acme.io", "§", "@") as ftp:
ftp.login("§", "@")
ftp = ftplib.FTP('ftp.acme.io', user='§', passwd='@')
conn = ftputil.FTPHost("ftp.acme.io", "§", "@")
python-ssh password
ssh.connect("web1", 22, "§", "@")
client.connect('10.0.0.4', 2222, '§', '@', timeout=5)
transport.auth_password("§", "@")
transport.connect(None, "§", "@")
ssh.connect("web1", username="§", password="@")
python-redis password
r = redis.Redis("cache", 6379, 0, "@")
r = StrictRedis('cache', 6379, 1, '@')
pool = aioredis.Redis("cache", 6379, 2, "@")
r.auth("@")
r = redis.StrictRedis(host="cache", password="@")
python-databases password
db = MySQLdb.connect("localhost", "§", "@", "shop")
db = pymysql.connect("db.acme.io", "§", "@", "shop")
conn = cx_Oracle.connect("§", "@", "db/x")
conn = cx_Oracle.connect("§/@@db.acme.io/x")
conn = psycopg2.connect("dbname=x user=§ password=@")
python-http password
requests.get(url, auth=("§", "@"))
es = Elasticsearch(hosts, http_auth=("§", "@"))
es = Elasticsearch(hosts, basic_auth=["§", "@"])
session.auth = HTTPDigestAuth("§", "@")
driver = Client(url, credentials=("§", "@"))
python-cookies session
requests.get(url, cookies={"sessionid": "@"})
session.cookies.set("session", "@")
response.set_cookie("sessionid", "@")
jar.update({"a": "1"}); s.cookies["auth_token"] = "@"
requests.get(url, headers={"Cookie": "sid=@"})
python-ldap password
l.simple_bind_s("cn=§,dc=acme", "@")
conn = Connection(server, "cn=§,dc=acme", "@", auto_bind=True)
l.bind_s("cn=§,dc=acme", "@", ldap.AUTH_SIMPLE)
conn = Connection(server, user="§", password="@")
con.simple_bind("uid=§,ou=people", "@")
python-signing key
token = jwt.encode(payload, "@", algorithm="HS256")
data = jwt.decode(token, "@", algorithms=["HS256"])
sig = hmac.new(b"@", body, hashlib.sha256).hexdigest()
s = URLSafeTimedSerializer("@")
f = Fernet(b"@")
python-hashing password
h = generate_password_hash("@")
user.set_password("@")
User.objects.create_user("§", "§@acme.io", "@")
hashed = bcrypt.hashpw(b"@", bcrypt.gensalt())
assert check_password_hash(h, "@")
python-brokers password
credentials = pika.PlainCredentials("§", "@")
client.username_pw_set("§", "@")
conn.connect("§", "@", wait=True)
client = InfluxDBClient("tsdb", 8086, "§", "@", "metrics")
auth = PlainTextAuthProvider("§", "@")
python-cloud key
oauth = OAuth1Session("9f8s7df98s7df98s", "@")
client = BlobServiceClient(url, AzureNamedKeyCredential("acct", "@"))
client = CosmosClient(endpoint, "@")
gl = gitlab.Gitlab("https://git.acme.io", "@")
auth.set_access_token("70919173-x", "@")
python-bytes password
f.extractall(pwd=b"@")
key, cert, more = load_key_and_certificates(data, b"@")
key = load_pem_private_key(data, password=b"@")
z.setpassword(b"@")
kdf.derive(b"@"); archive.setpassword(bytes("@", "utf-8"))
js-http password
request(app).get("/").auth("§", "@").expect(200)
const head = "Basic " + btoa("§:@");
const token = Buffer.from("§:@").toString("base64");
superagent.get(url).auth('§', '@', { type: 'basic' })
axios.get(url, { auth: { username: "§", password: "@" } })
js-signing key
const token = jwt.sign({ id: 7 }, "@", { expiresIn: "1h" });
jwt.verify(token, '@', (err, user) => next());
const h = crypto.createHmac("sha256", "@").update(body).digest("hex");
app.use(cookieParser("@"));
const c = crypto.createCipheriv("aes-256-cbc", "@", iv);
js-cookies session
document.cookie = "session=@; path=/";
res.cookie("session_token", "@", { httpOnly: true });
Cookies.set("authToken", "@");
cy.setCookie('session_id', '@')
await context.addCookies([{ name: "sid", value: "@", url }]);
js-databases password
const db = new Sequelize("shop", "§", "@", { dialect: "mysql" });
const driver = neo4j.driver(uri, neo4j.auth.basic("§", "@"));
client.auth("@", done);
client.bind("cn=§,dc=acme", "@", done);
ftp.access({ host: "h", user: "§", password: "@" });
js-forms password
await page.fill("#password", "@");
cy.get("#password").type("@");
driver.findElement(By.id("password")).sendKeys("@");
await page.getByLabel("Password").fill("@");
await page.locator('input[name="password"]').fill('@');
go-clients password
auth := smtp.PlainAuth("", "§", "@", "mail.acme.io")
req.SetBasicAuth("§", "@")
d := gomail.NewDialer("mail.acme.io", 587, "§", "@")
nc, err := nats.Connect(url, nats.UserInfo("§", "@"))
client.SetBasicAuth(`§`, `@`)
go-sources password
db, err := sql.Open("mysql", "§:@@tcp(db:3306)/shop")
db, err := sql.Open("mysql", "§:@@/shop")
db := sqlx.MustConnect("mysql", "§:@@unix(/tmp/m.sock)/shop")
dsn := "§:@@tcp(127.0.0.1:3306)/shop?parseTime=true"
db, err := sql.Open("godror", "§/@@db:1521/x")
go-remote password
Auth: []ssh.AuthMethod{ssh.Password("@")},
err = l.Bind("cn=§,dc=acme", "@")
err := c.Login("§", "@")
opts.SetUsername("§").SetPassword("@")
err = client.Auth("§", "@")
go-signing key
s, err := token.SignedString([]byte("@"))
mac := hmac.New(sha256.New, []byte("@"))
var store = sessions.NewCookieStore([]byte("@"))
creds := credentials.NewStaticCredentials(id, "@", "")
cred, err := azblob.NewSharedKeyCredential("acct", "@")
csharp-credentials password
var c = new NetworkCredential("§", "@");
handler.Credentials = new NetworkCredential("§", "@", "ACME");
var entry = new DirectoryEntry(path, "§", "@");
var cert = new X509Certificate2("a.pfx", "@");
var ok = context.ValidateCredentials("§", "@");
csharp-clients password
await client.AuthenticateAsync("§", "@");
using var sftp = new SftpClient("web1", 22, "§", "@");
using var ssh = new SshClient("web1", "§", "@");
smtp.Authenticate("§", "@");
await userManager.CreateAsync(user, "@");
csharp-signing key
var key = new SymmetricSecurityKey(Encoding.UTF8.GetBytes("@"));
using var h = new HMACSHA256(Encoding.ASCII.GetBytes("@"));
var client = new SecretClient(uri, new ClientSecretCredential(tenant, id, "@"));
new StorageSharedKeyCredential("acct", "@")
new BasicAWSCredentials("AKIDX", "@")
php-remote password
ftp_login($c, '§', '@');
ssh2_auth_password($c, '§', '@');
$ssh->login('§', '@');
$box = imap_open("{imap.acme.io:993}INBOX", "§", "@");
ldap_bind($ds, "cn=§,dc=acme", "@");
php-databases password
$c = oci_connect('§', '@', 'db/x');
$c = odbc_connect("DSN", "§", "@");
$m->real_connect("db", "§", "@", "shop");
$d = new PDO("mysql:host=db;dbname=x", "§", "@", $options);
$c = ibase_connect("db:/x.fdb", "§", "@");
php-requests password
curl_setopt($ch, CURLOPT_USERPWD, "§:@");
curl_setopt($ch, CURLOPT_USERPWD, '§:@');
Http::withBasicAuth('§', '@')->get($url);
Auth::attempt(['email' => $e, 'password' => '@']);
$mail->Password = '@';
php-hashing password
$h = password_hash("@", PASSWORD_DEFAULT);
'password' => Hash::make('@'),
if (password_verify('@', $hash)) {
$user->setPassword($encoder->encodePassword($user, '@'));
'password' => bcrypt('@'),
php-signing key
$t = JWT::encode($payload, '@', 'HS256');
$s = hash_hmac('sha256', $data, '@');
$e = openssl_encrypt($data, 'aes-256-cbc', '@', 0, $iv);
setcookie('session_token', '@', time() + 3600);
$p = openssl_decrypt($data, $cipher, "@", 0, $iv);
ruby-http password
http.basic_auth("§", "@")
request.basic_auth "§", "@"
basic_auth '§', '@'
page.driver.browser.authorize "§", "@"
fill_in "Password", with: "@"
ruby-net password
Net::SMTP.start("mail", 25, "acme.io", "§", "@", :login)
Net::FTP.open("ftp.acme.io", "§", "@")
imap.login("§", "@")
Net::SSH.start("web1", "§", password: "@")
dbh = DBI.connect("dbi:Pg:x", "§", "@")
ruby-signing key
token = JWT.encode payload, "@", "HS256"
JWT.decode(token, '@', true)
OpenSSL::HMAC.hexdigest("SHA256", "@", body)
creds = Aws::Credentials.new("AKIDX", "@")
cookies[:session_token] = "@"
rust-http password
let r = client.get(url).basic_auth("§", Some("@")).send()?;
req.basic_auth("§".to_string(), Some("@".to_string()))
let creds = Credentials::new("§".to_string(), "@".to_string());
let creds = Credentials::new("§".into(), String::from("@"));
sess.userauth_password("§", "@")?;
rust-builders key
let key = EncodingKey::from_secret("@".as_ref());
let t = decode::<Claims>(&token, &DecodingKey::from_secret(b"@"), &v);
let mac = HmacSha256::new_from_slice(b"@")?;
let c = Client::builder().api_key("@").build();
config.set_secret_key(String::from("@"));
swift-clients password
let c = URLCredential(user: "§", password: "@", persistence: .forSession)
KeychainWrapper.standard.set("@", forKey: "password")
request.authenticate(user: "§", password: "@")
try keychain.setPassword("@", for: account)
textField.typeText("§"); app.secureTextFields["Password"].typeText("@")
elixir-erlang password
HTTPoison.get(url, [], hackney: [basic_auth: {"§", "@"}])
{ok, C} = epgsql:connect("db", "§", "@", []),
Req.new(auth: {:basic, "§:@"})
Plug.BasicAuth.encode_basic_auth("§", "@")
{basic_auth, {"§", "@"}}
r-clients password
GET(url, authenticate("§", "@"))
req |> req_auth_basic("§", "@")
con <- dbConnect(RMySQL::MySQL(), user = "§", password = "@")
con <- odbcConnect("dsn", "§", "@")
con <- odbcConnect("dsn", uid = "§", pwd = "@")
perl-clients password
my $dbh = DBI->connect("dbi:mysql:shop", "§", "@");
$ftp->login('§', '@') or die;
$req->authorization_basic('§', '@');
$ua->credentials("acme.io:80", "realm", "§", "@");
$smtp->auth("§", "@");
c-clients password
mysql_real_connect(conn, "db", "§", "@", "shop", 0, NULL, 0);
PQsetdbLogin("db", "5432", NULL, NULL, "shop", "§", "@");
curl_easy_setopt(curl, CURLOPT_USERPWD, "§:@");
rc = ssh_userauth_password(session, NULL, "@");
db.setPassword("@");
key-setters key
client.setApiKey("@");
request.withToken("@").send();
options.useSecret("@");
config.add_secret_key("@")
builder.bearerToken("@").build();
english-login password
Log in as § with @ as your password.
Log in with § / @ and open the first page.
Sign in with @ as password.
You can log into the box as § with @.
Log in: § / @
english-use password
Use @ as the password for now.
Use §/@ to log in to the test server.
Type @ when it asks for the password.
Enter @ at the password prompt.
They use @ as password everywhere.
english-for password
password for prod: @
Passwords for the new boxes: @
root password on web1: @
The password we use for staging is currently @
PW for the wiki is @
english-credentials password
The credentials are § and @.
Credentials: § / @
creds: §:@
My login is § and @ is the password.
login: § / @
english-inverted password
@ is the root password of web1.
@ was my password until May.
@ is the password for the staging box.
"@" is still the admin password.
§ (password @) has the rights.
english-key key
The key (@) goes into the first field.
Our API key for maps is @.
The token to use is @, please keep it.
Use the secret @ for the webhook.
Access token: @
portuguese password
A senha do servidor é @ até sexta.
Senha do banco: @
A palavra-passe da rede agora é @.
Use a senha @ para entrar.
Entre com § e a senha @.
spanish password
La contraseña del servidor es @ hasta el viernes.
Contraseña de root: @
Usa la contraseña @ para entrar.
Entra como § con la contraseña @.
La nueva clave de acceso es @.
french password
Le mot de passe du serveur est @ et ne change jamais.
Mot de passe de la base : @
Utilise le mot de passe @ pour entrer.
Connecte-toi avec § et le mot de passe @.
Mon mot de passe, c'est @.
german password
Das Passwort für den Server lautet @.
Passwort vom Router: @
Melde dich mit § und dem Passwort @ an.
Nimm @ als Passwort.
Das Kennwort der Datenbank ist jetzt @, bitte merken.
italian password
La password del server è @ fino a venerdì.
Password del router: @
Entra con § e la password @.
La parola d'ordine del sito è @.
Usa la password @ per entrare.
dutch password
Het wachtwoord van de server is @ tot vrijdag.
Wachtwoord van de router: @
Log in met § en het wachtwoord @.
Gebruik het wachtwoord @ om in te loggen.
Het wachtwoord luidt nu @.
polish password
Hasło do serwera to @ do piątku.
Hasło do bazy: @
Zaloguj się jako § z hasłem @.
Użyj hasła @ do logowania.
Hasło brzmi @.
russian password
Пароль от сервера: @ до пятницы.
Пароль для входа — @.
Войдите как § с паролем @.
Пароль root теперь @.
Используй пароль @ для входа.
swedish password
Lösenordet till servern är @ tills vidare.
Lösenord till databasen: @
Logga in som § med lösenordet @.
Använd lösenordet @ för att logga in.
Lösenordet är nu @.
turkish password
Sunucunun şifresi @ olarak ayarlandı.
Şifre: @
Veritabanı parolası: @
Yeni parola @ oldu.
Sunucu için şifreniz @.
japanese password
サーバーのパスワードは@です。
パスワード：@
パスワード「@」でログインしてください。
データベースのパスワードを@に変更しました。
暗証番号ではなくパスワードは「@」です。
chinese password
服务器的密码是@，请保密。
密码：@
数据库密码为 @。
用密码@登录。
管理员的密碼是「@」。
korean password
서버 비밀번호는 @입니다.
비밀번호: @
데이터베이스 비밀번호는 '@'이다.
비밀번호 @로 로그인하세요.
관리자 암호는 @입니다.
nordic-and-slavic password
Adgangskoden til serveren er @.
Passordet til serveren er @.
Salasana on @.
Heslo k serveru je @.
Heslo do databáze: @
"""


def _forms() -> dict[str, tuple[str, list[str]]]:
    forms: dict[str, tuple[str, list[str]]] = {}
    for line in _FORMS.strip().split("\n"):
        name, _, kind = line.partition(" ")
        if kind in ("password", "key", "session"):
            forms[name] = kind, []
        else:
            forms[next(reversed(forms))][1].append(line.replace("¶", "\n"))
    return forms


FORMS = _forms()


def half_of(family: str) -> str:
    """The half that a form or a family of clean texts belongs to: `tuning` or `test`."""
    return half(f"by place:{family}")


def placed_cases(chosen: str, seed: int) -> Iterator[Case]:
    """Texts with a secret of the forms of one half, one for each line of a form."""
    rng = Random(f"placed:{chosen}:{seed}")
    for family, (kind, lines) in FORMS.items():
        if half_of(family) != chosen:
            continue
        for line in lines:
            value = _value(rng, kind)
            # The value goes in last, for `@` may stand before a host too; a `@` of a mail address has a letter before and behind it.
            text = line.replace("§@acme", "§\0acme").replace("@@", "@\0").replace("§", rng.choice(PEOPLE))
            yield Case(text.replace("@", value).replace("\0", "@"), True, family, value)
