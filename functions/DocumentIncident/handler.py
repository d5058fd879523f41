"""Writes the incident's record, with its digest, into the evidence bucket."""

from sortie_actions.evidence import document_incident


def lambda_handler(event, context):
    return document_incident(event)
