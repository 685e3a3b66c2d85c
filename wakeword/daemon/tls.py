"""TLS from files: one place that says which certificates we show and which we believe.

The standard library's defaults apply: TLS 1.2 or later, names checked, no old ciphers.
"""

from __future__ import annotations

import ssl

from wakeword.daemon.settings import ServerConfig
from wakeword.errors import ConfigError

__all__ = ["Certificate", "client_context", "load_certificate", "server_context"]


class Certificate:
    """What a port shows, read from files and read again when they are renewed.

    Args:
        config: of the port.

    Raises:
        ConfigError: a file cannot be used.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.context = self._read()
        """None where the port does not speak TLS."""

    def renew(self) -> None:
        """Read the files again, for the clients that come from now on.

        Raises:
            ConfigError: they cannot be used; what was there before stays.
        """
        config = self._config
        # Tried first on a context of its own: one that fails halfway would serve nobody.
        if self._read() is not None and self.context is not None:
            load_certificate(self.context, str(config.cert_file), str(config.key_file))

    def _read(self) -> ssl.SSLContext | None:
        config = self._config
        if config.cert_file is None or config.key_file is None:
            return None
        return server_context(config.cert_file, config.key_file, config.client_ca_file)


def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return what checks a server's certificate and its name.

    Args:
        ca_file: PEM of who signs for the server; None believes whom the system believes.

    Raises:
        ConfigError: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as exc:  # ssl.SSLError is one
        raise ConfigError(f"ca_file={ca_file}: no certificate can be read there ({exc})") from exc


def server_context(
    cert_file: str, key_file: str, client_ca_file: str | None = None
) -> ssl.SSLContext:
    """Return what shows our certificate.

    Args:
        cert_file: PEM of the certificate, and of those between it and the root.
        key_file: PEM of its key, without a passphrase.
        client_ca_file: PEM of who signs for clients; with it a client without such a certificate is
            not served.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, cert_file, key_file)
    if client_ca_file is not None:
        try:
            context.load_verify_locations(client_ca_file)
        except OSError as exc:
            raise ConfigError(
                f"client_ca_file={client_ca_file}: no certificate can be read there ({exc})"
            ) from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_certificate(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    """Read certificate and key, anew if need be: connections made from now on see them.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """
    # OpenSSL would ask the terminal for the passphrase of a key that has one.
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except OSError as exc:
        raise ConfigError(
            f"cert_file={cert_file}, key_file={key_file}: cannot be used ({exc}); need PEM files "
            "that belong together"
        ) from exc


def _no_passphrase() -> str:
    """Refuse a key that asks for one."""
    raise ConfigError("key_file: needs a passphrase; make one without: openssl pkey -in KEY")
