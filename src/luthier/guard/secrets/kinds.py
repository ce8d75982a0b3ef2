"""The closed list of kinds, and which of them a rule of another scanner means.

Closed, because a mark such as `<GITHUB_TOKEN>` must be known as a mark wherever it stands: with open names a secret could hide in one.
"""

from __future__ import annotations

import re

from luthier.guard.secrets.findings import GENERAL_KINDS, SCANNER_ERROR, UNDECODABLE, UNREADABLE
from luthier.guard.secrets.patterns import ISSUED_KINDS

KINDS = frozenset((*ISSUED_KINDS, *GENERAL_KINDS, SCANNER_ERROR, UNDECODABLE, UNREADABLE))

# The first word that stands in a rule's name, in small letters and with hyphens, decides.
_BY_WORD: tuple[tuple[str, str], ...] = (
    ("bedrock", "aws-bedrock-key"),
    ("aws-client-id", "aws-access-key"),
    ("aws-access", "aws-access-key"),
    ("aws-multi", "aws-access-key"),
    ("alibaba", "alibaba-key"),
    ("github", "github-token"),
    ("gitlab", "gitlab-token"),
    ("bitbucket", "bitbucket-token"),
    ("atlassian", "atlassian-token"),
    ("jira", "atlassian-token"),
    ("slack-webhook", "slack-webhook"),
    ("slack", "slack-token"),
    ("discord-webhook", "discord-webhook"),
    ("discord-bot", "discord-token"),
    ("discord-api", "discord-token"),
    ("teams-webhook", "teams-webhook"),
    ("telegram", "telegram-token"),
    ("stripe", "stripe-key"),
    ("openai", "openai-key"),
    ("anthropic", "anthropic-key"),
    ("openrouter", "openrouter-key"),
    ("langfuse", "langfuse-key"),
    ("hugging", "huggingface-token"),
    ("google-oauth", "google-oauth-secret"),
    ("google-api", "google-api-key"),
    ("gcp-api", "google-api-key"),
    ("gcp-gemini", "google-api-key"),
    ("gcp", "private-key"),
    ("npm", "npm-token"),
    ("pypi", "pypi-token"),
    ("rubygems", "rubygems-token"),
    ("sendgrid", "sendgrid-key"),
    ("mailgun", "mail-service-key"),
    ("mailchimp", "mail-service-key"),
    ("twilio", "twilio-key"),
    ("digital-ocean", "digitalocean-token"),
    ("digitalocean", "digitalocean-token"),
    ("vault", "vault-token"),
    ("doppler", "doppler-token"),
    ("shopify", "shopify-token"),
    ("square-", "payment-key"),
    ("docker", "docker-token"),
    ("grafana", "grafana-token"),
    ("azure-ad", "azure-secret"),
    ("azure-secret", "azure-secret"),
    ("azure", "azure-key"),
    ("facebook", "facebook-token"),
    ("private-key", "private-key"),
    ("age-secret-key", "private-key"),
    ("json-web-key", "private-key"),
    ("json-web-token", "jwt"),
    ("jwt", "jwt"),
    ("paseto", "paseto"),
    ("paserk", "paseto"),
    ("credential-uri", "credential-uri"),
    ("connection-string", "credential-uri"),
    ("url-credentials", "credential-uri"),
    ("basic-auth", "credential-uri"),
    ("authorization", "authorization"),
    ("curl-auth", "authorization"),
    ("curl", "password"),
    ("password", "password"),
    ("webhook", "webhook"),
    ("entropy", "high-entropy"),
    ("secret-keyword", "generic-secret"),
    ("token", "access-token"),
    ("key", "api-key"),
)
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def kind_of(rule: str) -> str:
    """The kind that a scanner's rule means, by its id or name; `generic-secret` where none fits."""
    name = _NOT_A_WORD.sub("-", rule.lower())
    return next((kind for word, kind in _BY_WORD if word in name), "generic-secret")
