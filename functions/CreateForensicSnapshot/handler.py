"""Keeps all volumes of an instance as snapshots of one moment, tagged with the case."""

from sortie_actions.snapshot import CreateForensicSnapshot


def lambda_handler(event, context):
    return CreateForensicSnapshot().run(event)
