"""Closes risky ports that a security group opens to the internet, rule by rule; can be undone."""

from sortie_actions.open_group import RemediateOpenSecurityGroup


def lambda_handler(event, context):
    return RemediateOpenSecurityGroup().run(event)
