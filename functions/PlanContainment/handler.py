"""What isolating the instance and revoking its credentials would change, as one plan with one hash."""

from sortie_actions.assess import plan_containment


def lambda_handler(event, context):
    return plan_containment(event)
