"""Changes an incident in ServiceNow: fields, state, comment, work note."""

from sortie_actions.servicenow import update_servicenow_incident


def lambda_handler(event, context):
    return update_servicenow_incident(event, context)
