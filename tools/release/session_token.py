"""Prints a session JWT. The secret is read from standard input, as Secrets Manager returns it: `{"secret": "..."}`.

    aws secretsmanager get-secret-value --secret-id ... --query SecretString --output text |
      python3 tools/release/session_token.py --sub alice
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def sign(secret: str, claims: dict) -> str:
    """A JWT with HS256 (RFC 7515, RFC 7519)."""
    header = {'alg': 'HS256', 'typ': 'JWT'}
    signed = '.'.join(encode(json.dumps(part, separators=(',', ':')).encode()) for part in (header, claims))
    return f'{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}'


def read_secret(text: str) -> str:
    try:
        return json.loads(text)['secret']
    except (ValueError, KeyError, TypeError):
        sys.exit('session_token.py: standard input must be a JSON object with the member "secret"')


def main() -> None:
    parser = argparse.ArgumentParser(description='Prints a session JWT, signed with the secret on standard input.')
    parser.add_argument('--sub', required=True, help='the user id, or the name of the service')
    parser.add_argument('--role', default='user', help='the role; "service" acts for every user')
    parser.add_argument('--seconds', type=int, default=3600, help='the validity')
    parser.add_argument('--audience', help='the claim aud, if JwtAudience is set')
    parser.add_argument('--issuer', help='the claim iss, if JwtIssuer is set')
    args = parser.parse_args()
    now = int(time.time())
    claims = {'sub': args.sub, 'role': args.role, 'iat': now, 'exp': now + args.seconds}
    claims |= {name: value for name, value in [('aud', args.audience), ('iss', args.issuer)] if value}
    print(sign(read_secret(sys.stdin.read()), claims))


if __name__ == '__main__':
    main()
