"""What CloudTrail knows of the instance and the principals of an incident."""

from sortie_actions.evidence import query_cloudtrail


def lambda_handler(event, context):
    return query_cloudtrail(event)
