"""What opens an engine, told apart from what names it: URLs with passwords, as people type them.

>>> without_secrets("postgresql://ann:pw@db.example/claims?sslmode=require&password=x")
'postgresql://ann@db.example/claims?sslmode=require'
>>> sorted(passwords("postgresql://ann:p%40w@db.example/claims?sslpassword=x"))
['p%40w', 'p@w', 'x']

Not guaranteed: secrets under names that libpq does not have.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

KEPT = frozenset({"user", "host", "port", "sslmode", "sslrootcert", "connect_timeout", "target_session_attrs"})
"""Parameters of a URL that hold no secret and are needed to connect again."""
SECRET = ("password", "sslpassword")


def without_secrets(url: str) -> str:
    """A URL with account and known parameters, without a password; what is no URL as it is."""
    if not url.startswith("postgres"):
        head, at, rest = url.rpartition("@")
        return f"{head.partition('://')[0]}://{rest}" if at and "://" in head else _without_query(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return "postgresql://"
    account = parts.netloc.rpartition("@")[0].partition(":")[0]
    user = f"{account}@" if account else ""
    asked = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name in KEPT])
    return urlunsplit((parts.scheme, user + parts.netloc.rpartition("@")[2], parts.path, asked, ""))


def passwords(url: str) -> set[str]:
    """The passwords in a URL, as written and as meant; of one that cannot be parsed too."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "spark"):
        return set()
    query = rest.partition("?")[2]
    said = (part.partition("=") for part in query.partition("#")[0].split("&"))
    found = {value for name, _, value in said if name in SECRET}
    account, at, _ = rest.rpartition("@") if not query else rest.partition("?")[0].rpartition("@")
    if at:
        found.add(account.partition(":")[2])
    return {form for secret in found if secret for form in (secret, unquote(secret))}


def _without_query(url: str) -> str:
    return url.partition("?")[0] if "://" in url else url
