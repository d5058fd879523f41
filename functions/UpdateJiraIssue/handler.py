"""Changes an issue in Jira: fields, comment, status."""

from sortie_actions.jira import update_jira_issue


def lambda_handler(event, context):
    return update_jira_issue(event, context)
