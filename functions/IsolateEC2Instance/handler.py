"""Cuts an instance off the network, interface by interface; can be undone."""

from sortie_actions.isolate import IsolateEC2Instance


def lambda_handler(event, context):
    return IsolateEC2Instance().run(event)
