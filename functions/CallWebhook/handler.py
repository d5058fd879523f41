"""A signed webhook: JSON to an address, proved by HMAC over time and body."""

from sortie_actions.webhook import call_webhook


def lambda_handler(event, context):
    return call_webhook(event, context)
