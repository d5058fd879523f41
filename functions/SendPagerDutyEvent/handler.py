"""Opens, acknowledges or resolves an alert in PagerDuty, under its dedup key."""

from sortie_actions.pagerduty import send_pagerduty_event


def lambda_handler(event, context):
    return send_pagerduty_event(event, context)
