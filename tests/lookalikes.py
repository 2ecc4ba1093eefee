"""Secrets and look-alikes that were written before the patterns were looked at, to measure them by.

`<letters:count>` is filled in by chance; what stands between « and » is the secret.
"""

import random
import re
import string

LETTERS = {
    "b62": string.ascii_letters + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "url": string.ascii_letters + string.digits + "-_",
    "hex": "0123456789abcdef",
    "dig": string.digits,
    "b32": string.ascii_uppercase + "234567",
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "sym": string.ascii_lowercase + string.digits + "!@#$%^&*(-_=+)",
}

SECRETS = [
    'export OPENAI_API_KEY=«sk-proj-<b62:48>»',
    'my anthropic key is «sk-ant-api03-<url:93>AA», put it in the env please',
    'git clone https://oauth2:«glpat-<url:20>»@gitlab.example.com/team/app.git',
    'remote: https://x-access-token:«ghp_<b62:36>»@github.com/acme/app',
    'GITHUB_TOKEN: «github_pat_<b62:22>_<b62:59>»',
    'aws_access_key_id = «AKIA<b32:16>»',
    'aws_secret_access_key = «<b64:40>»',
    '{"type":"service_account","private_key":"«-----BEGIN PRIVATE KEY-----\\n<b64:64>\\n'
    '<b64:64>\\n-----END PRIVATE KEY-----»\\n"}',
    '-----BEGIN OPENSSH PRIVATE KEY-----\n«<b64:70>\n<b64:70>\n<b64:44>»\n-----END OPENSSH PRIVATE KEY-----',
    "curl -H 'Authorization: Bearer «eyJhbGciOiJIUzI1NiJ9.eyJ<url:40>.<url:43>»' https://api.example.com/me",
    'curl -u admin:«Tr0ub4dor&3» https://nexus.example.com/repository',
    'DATABASE_URL=postgres://app:«s3cr3t-<b62:8>»@db.internal:5432/app',
    'mongodb+srv://root:«<b62:14>»@cluster0.abcde.mongodb.net/test',
    'redis://:«<hex:32>»@cache.internal:6379/0',
    'SLACK_BOT_TOKEN=«xoxb-<dig:12>-<dig:13>-<b62:24>»',
    'post it to https://hooks.slack.com/services/«T<b32:8>/B<b32:8>/<b62:24>»',
    "stripe.api_key = '«sk_live_<b62:24>»'",
    'SENDGRID_API_KEY=«SG.<url:22>.<url:43>»',
    'TWILIO_AUTH_TOKEN=«<hex:32>»',
    'npm config set //packages.example.com/:_authToken=«npm_<b62:36>»',
    '[pypi]\nusername = __token__\npassword = «pypi-AgEIcHlwaS5vcmc<url:70>»',
    'the wifi password is «horse-Battery-42-staple»',
    'Mein Passwort lautet «Sommer2024!Regen»',
    'mot de passe : «Ch0c0latine#77»',
    'db:\n  user: app\n  password: "«pV9!x<b62:9>»"\n  port: 5432',
    '<add key="ApiKey" value="«<b62:32>»" />',
    'mysql -u root -p«Zx<b62:10>» -h db1 shop',
    "sshpass -p '«Kf9<b62:9>!»' ssh deploy@web1",
    'machine api.heroku.com login me@example.com password «<hex:8>-<hex:4>-4<hex:3>-a<hex:3>-<hex:12>»',
    'DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=«<b64:86>==»;EndpointSuffix=core.windows.net',
    'GOOGLE_MAPS_KEY = "«AIza<url:35>»"',
    'telegram bot: «<dig:10>:AA<url:33>»',
    'client_secret=«<url:40>»&grant_type=client_credentials',
    "const JWT_SECRET = '«<b62:28>»';",
    'HF_TOKEN=«hf_<b62:34>»',
    'Server=tcp:sql1;Database=shop;User Id=sa;Password=«Pa55-<b62:8>»;Encrypt=True',
    'X-API-Key: «<hex:40>»',
    'discord token "«M<b62:23>.<b62:6>.<url:38>»"',
    'my card is «4111 1111 1111 1111», exp 12/29',
    'PIN for the alarm is «4821», do not tell anyone',
    'DOCKER_AUTH={"auths":{"registry.example.com":{"auth":"«<b64:40>»"}}}',
    'vault login «hvs.<url:90>»',
    'age key: «AGE-SECRET-KEY-1<bech:58>»',
    "SECRET_KEY = 'django-insecure-«<sym:50>»'",
]  # fmt: skip

HARMLESS = [
    'commit <hex:40> fixes the parser, see also <hex:7>',
    'sha256:<hex:64>  app-1.2.tar.gz',
    'The session id is <hex:8>-<hex:4>-4<hex:3>-a<hex:3>-<hex:12>',
    'order number 4029-118837-22, parcel 00340434161094021501',
    'ISBN 978-3-16-148410-0',
    'call me at +49 30 901820 or (555) 010-2231',
    'IBAN DE89 3704 0044 0532 0130 00 goes on the invoice',
    '.token { color: #1a2b3c; background: #ffffff80 }',
    'background: url(data:image/png;base64,<b64:400>)',
    'The password reset mail never arrived, I requested it twice.',
    'the key to success is patience, the key is practice',
    'pin it to the top of the board; pin the version to 2.31.0',
    'the token limit is 4000 and the key size is 256',
    'password: str = Field(min_length=8)',
    'def login(user: str, password: str) -> Token:',
    "api_key = os.environ['OPENAI_API_KEY']",
    "password = getpass.getpass('Password: ')",
    'export API_KEY=$MY_API_KEY && ./run.sh',
    'password: ${DB_PASSWORD}',
    'secret: {{ vault_db_password }}',
    'API_KEY=your-api-key-here',
    'password=changeme-please is only the example in the README',
    'SECRET_KEY=<your secret key>',
    'Authorization: Bearer <token>',
    'https://user@example.com/path?page=2&sort=key',
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5<b64:48> me@laptop',
    '-----BEGIN PUBLIC KEY-----\n<b64:64>\n-----END PUBLIC KEY-----',
    'integrity sha512-<b64:86>==',
    'ETag: "<hex:32>", Content-MD5: <b64:22>==',
    'for key in sorted(tokens): print(key, tokens[key])',
    'What is a good password manager? Which secret santa rules do we use?',
    'My favourite secret ingredient is smoked paprika.',
    'The primary key is customer_id; the foreign key is order_id.',
    'tokens: 1830 prompt, 412 completion, 2242 total',
    'press the key combination Ctrl+Shift+P to open the palette',
    'Das Passwort habe ich vergessen, kannst du mir einen Satz vorschlagen?',
    'pip install torch==2.1.0 --hash=sha256:<hex:64>',
    'trace_id=<hex:32> span_id=<hex:16> level=info',
    'docker pull registry.example.com/app@sha256:<hex:64>',
    'if token != expected_token: raise InvalidTokenError(token)',
    'password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt())',
    'the PIN field must be numeric and 4 digits long',
    '2024-05-17T10:22:31.123456Z id=01HXYZ<b32:20> status=200',
    'https://www.youtube.com/watch?v=<url:11>&list=PL<url:32>',
    'https://docs.google.com/document/d/1<url:43>/edit',
    'AccessToken token = service.refreshAccessToken(refreshToken);',
]  # fmt: skip


def filled(text: str, dice: random.Random) -> str:
    """The text with letters by chance in its places."""
    return re.sub(r"<(\w+):(\d+)>", lambda one: "".join(dice.choices(LETTERS[one[1]], k=int(one[2]))), text)


def secrets(seed: int) -> list[tuple[str, str]]:
    """The sentences, each with its secret."""
    dice = random.Random(seed)
    whole = [filled(text, dice) for text in SECRETS]
    return [(re.sub("[«»]", "", text), text.split("«")[1].split("»")[0]) for text in whole]


def harmless(seed: int) -> list[str]:
    """What only looks like them."""
    dice = random.Random(seed)
    return [filled(text, dice) for text in HARMLESS]
