"""E-mail: over SMTP with TLS, or through Amazon SES.

The message is plain text. Its Message-ID follows from the idempotency key, so that servers which drop repetitions see one; SMTP itself has
nothing to ask whether a message was taken, and SES gives each an id of its own.
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import os
import re
import smtplib
import ssl
from typing import Any

import botocore.exceptions

from . import remote
from .core import Aws, InvalidTarget, code_of, digest
from .remote import Family, key_of, line, needed, setting, setting_or_none, text

Email = Family("Email")

SUBJECT_MAX, TEXT_MAX, RECIPIENTS_MAX = 250, 100_000, 50
ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+"
SECURITY = ("starttls", "tls", "none")
SES_DENIED = ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch")
SES_LATER = ("TooManyRequestsException", "Throttling", "ThrottlingException", "LimitExceededException")


def send_email(event: dict, context: Any = None) -> dict:
    to, cc = _addresses(event, "to", True), _addresses(event, "cc", False)
    if len(to) + len(cc) > RECIPIENTS_MAX:
        raise InvalidTarget(f"a message goes to at most {RECIPIENTS_MAX} people")
    sender, subject = setting("EMAIL_FROM"), needed(event, "subject")
    if not re.fullmatch(ADDRESS, sender):
        raise InvalidTarget("EMAIL_FROM must be an address")
    # A header of more than one line is an attempt to add headers: said, not mended.
    if re.search(r"[\r\n\x00]", subject):
        raise InvalidTarget('"subject" must be one line')
    key = key_of(event, context, required=False)
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"] = sender, ", ".join(to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = line(subject, SUBJECT_MAX)
    message["Date"] = email.utils.formatdate(usegmt=True)
    message["Message-ID"] = f"<{digest(['email', key])[:32]}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers.
    message.set_content(text(needed(event, "text"), TEXT_MAX), cte="quoted-printable")
    refused = _by_ses(message, [*to, *cc]) if setting("EMAIL_TRANSPORT", "smtp") == "ses" else _by_smtp(message, [*to, *cc], context)
    answer = {"action": "SendEmail", "status": "changed", "message_id": str(message["Message-ID"]), "to": to, "cc": cc}
    return answer | {"refused": refused}


def _addresses(event: dict, name: str, required: bool) -> list[str]:
    value = event.get(name) or []
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or (required and not value) or not all(isinstance(a, str) and re.fullmatch(ADDRESS, a) for a in value):
        raise InvalidTarget(f'"{name}" must be an address, or a list of them')
    domains = {domain.strip().lower() for domain in setting("EMAIL_DOMAINS", "").split(",") if domain.strip()}
    outside = [address for address in value if domains and address.rpartition("@")[2].lower() not in domains]
    if outside:
        raise InvalidTarget(f"{', '.join(outside)}: mail goes to {', '.join(sorted(domains))} only")
    return value


def _by_smtp(message: email.message.EmailMessage, to: list[str], context: Any) -> dict[str, str]:
    host, security, user = setting("SMTP_HOST"), setting("SMTP_SECURITY", "starttls"), setting_or_none("SMTP_USER")
    if security not in SECURITY:
        raise InvalidTarget(f"SMTP_SECURITY must be one of {', '.join(SECURITY)}")
    if security == "none" and user:
        raise InvalidTarget("a password is not sent without TLS: set SMTP_SECURITY to starttls or tls")
    password = setting("SMTP_PASSWORD") if user else ""
    # Pauses and their limits are the same as over HTTP; the address is only named in what is logged.
    service = remote.Service(Email, f"https://{host}", context, secrets=[password])
    for attempt in range(remote.TRIES):
        try:
            with _connected(host, security) as smtp:
                if user:
                    smtp.login(user, password)
                return {address: service.shown(str(why)) for address, why in smtp.send_message(message, to_addrs=to).items()}
        except smtplib.SMTPAuthenticationError as error:
            raise Email.Unauthorized(service.shown(f"SMTP {error.smtp_code}")) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Email.Rejected(service.shown(str(error))) from None
        except ssl.SSLCertVerificationError as error:
            raise Email.Unauthorized(f"the server's certificate is not trusted: {error.verify_message}") from None
        except (smtplib.SMTPException, OSError) as error:
            why = _failure(service, error)
        if attempt + 1 == remote.TRIES or not isinstance(why, remote.Unavailable):
            raise why
        service.pause(attempt, "", why)
    raise AssertionError


def _connected(host: str, security: str) -> smtplib.SMTP:
    port = int(setting("SMTP_PORT", "465" if security == "tls" else "587"))
    authority = setting_or_none("SMTP_CA_FILE")  # Beside the handler, or an absolute path that functions see.
    trusted = ssl.create_default_context(cafile=authority and os.path.join(os.environ.get("LAMBDA_TASK_ROOT", ""), authority))
    if security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=remote.REQUEST_S_MAX, context=trusted)
    smtp = smtplib.SMTP(host, port, timeout=remote.REQUEST_S_MAX)
    if security == "starttls":
        try:
            smtp.starttls(context=trusted)
        except BaseException:
            smtp.close()
            raise
    return smtp


def _failure(service: remote.Service, error: Exception) -> remote.RemoteError:
    """SMTP answers of 4xx are for later, those of 5xx are final (RFC 5321, 4.2.1)."""
    code, told = 0, str(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = min(code for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        code, told = error.smtp_code, f"SMTP {error.smtp_code} {error.smtp_error!r}"
    shown = service.shown(f"{type(error).__name__}: {told}")
    return Email.Rejected(shown) if code >= 500 else Email.Unavailable(shown)


def _by_ses(message: email.message.EmailMessage, to: list[str]) -> dict[str, str]:
    sender = str(message["From"])
    try:
        Aws().client("sesv2").send_email(
            FromEmailAddress=sender, Destination={"ToAddresses": to}, Content={"Raw": {"Data": message.as_bytes()}}
        )
    except botocore.exceptions.ClientError as error:
        code = code_of(error)
        kind = Email.Unauthorized if code in SES_DENIED else Email.Throttled if code in SES_LATER else Email.Rejected
        raise kind(line(str(error), 300)) from None
    except botocore.exceptions.BotoCoreError as error:
        raise Email.Unavailable(line(str(error), 300)) from None
    return {}
