"""A message to the team through a Slack incoming webhook."""

from sortie_actions.people import send_slack_alert


def lambda_handler(event, context):
    return send_slack_alert(event)
