"""A message to the team in Slack, through an incoming webhook or a bot."""

from sortie_actions.slack import send_slack_alert


def lambda_handler(event, context):
    return send_slack_alert(event, context)
