"""Ends role sessions issued so far and takes users' keys out of use; can be undone."""

from sortie_actions.revoke import RevokeIAMCredentials


def lambda_handler(event, context):
    return RevokeIAMCredentials().run(event)
