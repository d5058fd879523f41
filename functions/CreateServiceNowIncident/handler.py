"""An incident in ServiceNow, once for each correlation id."""

from sortie_actions.servicenow import create_servicenow_incident


def lambda_handler(event, context):
    return create_servicenow_incident(event, context)
