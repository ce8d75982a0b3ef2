"""Passwords that command lines hand to programs: found in the forms that people write, and not where a placeholder stands."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.patterns import PatternScanner

# `@` stands for the password.
PLACES = [
    "machine ftp.acme.io login bob password @",
    "machine ftp.acme.io\n  login bob\n  password @",
    "docker login -u bob -p @",
    "docker login -u bob -p '@' reg.acme.io",
    "podman login --username bob --password @ reg.acme.io",
    'echo "@" | sudo -S ls',
    "echo -n '@' | sudo -k -S ls",
    "printf '%s\\n' '@' | sudo -S ls",
    'sudo -S ls <<< "@"',
    r"net use x: \\srv\share /user:bob @",
    r"net use x: \\srv\share @ /user:bob",
    "mysql -uroot -p@",
    "mysqldump -h db -u root -p'@' shop",
    "curl -u bob:@ https://acme.io",
    "curl -s --user 'bob:@' https://acme.io",
    "sshpass -p @ ssh bob@acme.io",
    "PGPASSWORD=@ psql -h db",
    "MYSQL_PWD='@' mysql shop",
    "https://bob:@@acme.io/x.git",
    "tool --password=@ run",
    "tool --password @ run",
    'tool --password "@" run',
    'curl -H "Authorization: Bearer @" https://acme.io',
]
PASSWORDS = ["hunter" + "22", "Tr0ub4" + "dor_3", "kV9p" + "Q2xL"]
STAND_INS = [
    *(
        "$VAR",
        "${VAR}",
        "<password>",
        "xxx",
        "xxxxx",
        "changeme",
        "***",
        "*****",
        "your-password",
        "example",
        "PASSWORD",
        "DB_PASSWORD",
        "password",
        "mypassword",
    ),
    *("secret", "%PASS%", "{{ password }}", "{password}", "[password]", "$(cat f)", "..."),
]


def found(text: str) -> list[str]:
    source = text.encode()
    return [source[item.start : item.end].decode() for item in PatternScanner().scan([text])[0]]


# Programs and statements that want a password there and nothing else, so that a plain word counts.
CERTAIN_PLACES = [
    *(
        "docker login -u bob -p @",
        "docker login -u bob -p @ reg.acme.io",
        "az login -u bob@acme.io -p @",
        "helm registry login -u bob -p @ reg",
    ),
    *("redis-cli -a @ ping", "redis-cli -h db -a '@' ping", "redis-cli -h db --pass @ ping", "redis-server --requirepass @"),
    *("ldapsearch -x -D cn=admin,dc=acme -w @ -b dc=acme", "ldapadd -x -D cn=admin -w@ -f x.ldif", "ldappasswd -s @ uid=bob"),
    *("mysql -uroot -p@", "mysqladmin -u root password @", "mysqladmin -u root password '@'", "mysql -uroot --password=@ shop"),
    *("curl -u bob:@ https://acme.io", "curl -ubob:@ https://acme.io", "curl -x http://proxy:3128 -U bob:@ https://acme.io"),
    *("wget --user bob --password @ https://acme.io", "wget --http-password=@ https://acme.io", "http -a bob:@ GET https://acme.io"),
    *("sshpass -p @ ssh bob@acme.io", "sshpass -p'@' ssh bob@acme.io", "RSYNC_PASSWORD=@ rsync x y"),
    *("az sql server create -n x --admin-user bob --admin-password @", "az vm create -n x --admin-username bob --admin-password '@'"),
    *("aws rds create-db-instance --master-user-password @", "gcloud sql users set-password bob --instance=x --password=@"),
    *("mongosh mongodb://h -u bob -p @", "mongodump --username bob --password @ --db x", "cqlsh -u bob -p @", "sqlcmd -S srv -U sa -P @"),
    *("bcp shop.dbo.t out f -U sa -P '@'", "sqlplus bob/@@db", "rabbitmqctl add_user bob @", "rabbitmqctl change_password bob @"),
    *("mosquitto_pub -u bob -P @ -t x -m y", "mosquitto_passwd -b passwd.txt bob @", "htpasswd -b /etc/nginx/.htpasswd bob @"),
    *("htpasswd -nbB bob @", "unzip -P @ a.zip", "7z x -p@ a.7z", "rar a -hp@ a.rar f", "openssl rsa -in x -passin pass:@ -out y"),
    *(
        "openssl passwd -6 @",
        "openssl enc -aes-256-cbc -k @ -in x",
        "gpg --batch --passphrase @ -c file",
        "keytool -list -keystore x.jks -storepass @",
    ),
    *(
        "smbclient //srv/share -U bob%@",
        "rpcclient -U 'bob%@' srv",
        "smbpasswd -a bob @",
        "mount -t cifs //srv/x /mnt -o username=bob,password=@",
    ),
    *("lftp -u bob,@ ftp.acme.io", "nmcli dev wifi connect Home password @", "wpa_passphrase Home @", "wpa_passphrase 'My Home' @"),
    *(
        "ipmitool -I lanplus -H x -U bob -P @ power on",
        "net user bob @ /add",
        "xfreerdp /u:bob /p:@ /v:srv",
        "cmdkey /add:srv /user:bob /pass:@",
    ),
    *('ConvertTo-SecureString "@" -AsPlainText -Force', "schtasks /create /ru bob /rp @", "svn co --username bob --password @ https://x"),
    *(
        "CREATE USER bob IDENTIFIED BY '@';",
        "alter user bob identified by '@'",
        "CREATE USER bob WITH PASSWORD '@';",
        "ALTER ROLE bob PASSWORD '@'",
    ),
    *("SET PASSWORD FOR bob = PASSWORD('@');", "default login bob password @", "user bob\npassword @"),
]
WORDS = ["hunter" + "kx", "Zebra" + "kopf"]


@pytest.mark.parametrize("place", CERTAIN_PLACES)
@pytest.mark.parametrize("password", [*WORDS, "Tr0ub4" + "dor_3"])
def test_a_plain_word_counts_where_a_program_wants_a_password(place: str, password: str) -> None:
    # In an address `@` stands between letters.
    at = max(place.rfind(sign) for sign in (" @", ":@", "'@", '"@', "=@", "%@", "/@", ",@", "p@", "w@"))
    text = f"{place[: at + 1]}{password}{place[at + 2 :]}"
    assert all(password in value and len(value) <= len(password) + 4 for value in found(text))
    assert found(text)


@pytest.mark.parametrize("place", CERTAIN_PLACES)
def test_what_stands_for_a_password_is_none_there_either(place: str) -> None:
    at = max(place.rfind(sign) for sign in (" @", ":@", "'@", '"@', "=@", "%@", "/@", ",@", "p@", "w@"))
    values = [*STAND_INS, "required", "$(cat f)", "{{password}}"]
    assert [value for value in values if found(f"{place[: at + 1]}{value}{place[at + 2 :]}")] == []


def test_each_password_of_a_command_is_found() -> None:
    first, second = WORDS
    assert found(f"keytool -genkey -storepass {first} -keypass {second}") == [first, second]
    assert found(f"snmpwalk -v3 -u bob -A {first} -X {second} host") == [first, second]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_on_a_command_line_is_found_whole(place: str, password: str) -> None:
    assert set(found(place.replace("@", password, 1))) == {password}


@pytest.mark.parametrize("place", [*PLACES, "pass = '@'", 'password = "@"'])
def test_what_stands_for_a_password_is_none(place: str) -> None:
    assert [value for value in STAND_INS if found(place.replace("@", value, 1))] == []


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("pass = 'correct" + " horse'", "correct horse"),
        ('db.password = "correct' + ' horse battery"', "correct horse battery"),
        ("tool --password 'correct" + " horse'", "correct horse"),
        ("mysql -uroot -pcorrect" + "-horse", "correct-horse"),
        ("machine a login b password Tr0ub4" + "dor&3", "Tr0ub4dor&3"),
        ("sshpass -p Tr0ub4" + "dor&& ls", "Tr0ub4dor"),
    ],
)
def test_words_count_where_the_place_is_certain(text: str, secret: str) -> None:
    assert secret in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "docker login -u bob --password-stdin reg.acme.io",
        "docker run --name mysql -p3306:3306 mysql",
        "mysql -u root -p shop",
        "mysql --port=3307 -h localhost --protocol=tcp",
        "curl --user-agent=Mozilla:firefox https://acme.io",
        "curl -u bob https://acme.io:8443/path",
        "docker run -u app:developers nginx",
        "sshpass -f /run/pass ssh bob@acme.io",
        "sshpass -p /run/pass ssh bob@acme.io",
        "echo done | sudo tee /etc/motd",
        r"net use x: \\srv\share /user:bob /persistent:yes",
        r"net use x: \\srv\share /user:bob *",
        "Use --password to be asked for it.",
        "run(['tool', '--password=' + value + ' --quiet'])",
        "password = 'show it'",
        "pass = 'must not be empty'",
        "password == 'correct horse'",
        "password: 'correct horse'",
        "git rebase omits the commits identified by 'squash' and 'fixup'",
        "mkdir -p src/parts && cp -p one two",
        "tar -C dir -a -cf x.tar.gz dir",
        "zip -r archive.zip folder",
        "unzip archive.zip -d folder",
        "7z x archive.7z -ofolder",
        "keytool -list -storepass:env STORE",
        "ldapsearch -x -W -D cn=admin,dc=acme",
        "ldapsearch -x -w $SECRET -b dc=acme",
        'redis-cli -a "$REDIS_PASSWORD" ping',
        "net user guestaccount /delete",
        "The mysqladmin password command changes it.",
        "user interaction such as password prompts",
        "default login anonymous password user@site",
        "openssl rsa -passin env:PASS -in x",
        "htpasswd -c /etc/nginx/.htpasswd bob",
    ],
)
def test_near_ones_are_none(text: str) -> None:
    assert not found(text)
