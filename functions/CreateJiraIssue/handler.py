"""An issue in Jira, once for each correlation id."""

from sortie_actions.jira import create_jira_issue


def lambda_handler(event, context):
    return create_jira_issue(event, context)
