"""How bad a GuardDuty finding is, and what it is about; raised by the instance's own criticality tag."""

from sortie_actions.assess import assess


def lambda_handler(event, context):
    return assess(event)
