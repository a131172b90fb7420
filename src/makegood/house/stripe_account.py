"""Stripe, according to the settings. Its library is loaded only where a setting asks for it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from makegood.house.settings import Settings
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from consumers.payouts.stripe.client import StripeClient

_KEYS = ("sk_", "rk_")
_SECRET = "whsec_"


def stripe_of(settings: Settings) -> StripeClient | None:
    """The client that the settings describe; None where there is no key. Raises Stop where they are wrong."""
    key = settings.stripe_key.get_secret_value()
    if not key:
        return None
    if not key.startswith(_KEYS) or not key.isascii() or not key.isprintable() or " " in key:
        raise Stop("MAKEGOOD_STRIPE_KEY must be a secret or restricted key of Stripe, which begins with sk_ or rk_")
    _needs_library("MAKEGOOD_STRIPE_KEY")
    from consumers.payouts.stripe.client import StripeClient

    return StripeClient(key, settings.stripe_url)


def in_test_mode(settings: Settings) -> bool:
    """Whether the key is one for tests, by which no money moves."""
    return "_test_" in settings.stripe_key.get_secret_value()


def webhook_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets that sign webhooks; none where no webhooks are awaited. Raises Stop where they are wrong."""
    secrets = tuple(each.strip() for each in settings.stripe_webhook_secret.get_secret_value().split(","))
    if secrets == ("",):
        return ()
    if any(not each.startswith(_SECRET) or len(each) == len(_SECRET) for each in secrets):
        raise Stop(
            "MAKEGOOD_STRIPE_WEBHOOK_SECRET must be the signing secret of a webhook endpoint, which begins with "
            "whsec_, or several with commas between them"
        )
    _needs_library("MAKEGOOD_STRIPE_WEBHOOK_SECRET")
    return secrets


def _needs_library(setting: str) -> None:
    if find_spec("stripe") is None:
        raise Stop(f"{setting} needs Stripe's library, which is not installed: `pip install 'makegood[stripe]'`")
