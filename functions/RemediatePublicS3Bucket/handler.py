"""Turns a bucket's public access block on and keeps its policy; can be undone."""

from sortie_actions.bucket import RemediatePublicS3Bucket


def lambda_handler(event, context):
    return RemediatePublicS3Bucket().run(event)
