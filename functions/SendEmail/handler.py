"""An e-mail in plain text, over SMTP with TLS or through Amazon SES."""

from sortie_actions.mail import send_email


def lambda_handler(event, context):
    return send_email(event, context)
