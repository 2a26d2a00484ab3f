"""Certificates and credential providers: what the environment names so that receiver and sender trust each other."""

import os
import ssl
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, Self, TypeVar

from runspan._forking import fork_safe_lock

# By words of OpenSSL and gRPC; the first that fits.
_REMEDIES_OF_TRUST: Final = {
    ("expired", "not yet valid"): "it has to be renewed there, unless the clock of this host is wrong",
    ("mismatch", "Hostname"): "the endpoint must have a name that is in the certificate",
    ("",): "OTEL_EXPORTER_OTLP_CERTIFICATE names the authority to trust",
}
# For what clients import and share, not while code of the application runs. A fork in the middle of an import would
# leave the child with half a module.
building: Final = fork_safe_lock()
_GROUP: Final = "opentelemetry_otlp_credential_provider"
_T = TypeVar("_T")


def variable(name: str) -> tuple[str, str] | None:
    """Return name and value of the ``OTEL_EXPORTER_OTLP_*`` that counts: that for traces wins over that for all.

    An empty one is as good as unset.
    """
    return _first_set(f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")


def not_trusted(why: str) -> str:
    """Return the reason why nothing is sent to a receiver whose certificate is not trusted, with the remedy."""
    remedy = next(each for words, each in _REMEDIES_OF_TRUST.items() if any(word in why for word in words))
    return f"the certificate of the receiver is not trusted ({why}); {remedy}"


@dataclass(frozen=True)
class Certificates:
    """The files for TLS, all PEM.

    Args:
        authority: whom to trust instead of the usual authorities; over HTTP also a directory.
        client: who the sender is.
        key: the key for ``client``; None means that it is in the same file.
    """

    authority: str | None = None
    client: str | None = None
    key: str | None = None

    @classmethod
    def of_environment(cls) -> Self:
        """Read the variables; a ``ValueError`` says that there is a key but no certificate for it."""
        authority, client, key = variable("CERTIFICATE"), variable("CLIENT_CERTIFICATE"), variable("CLIENT_KEY")
        if key is not None and client is None:
            raise ValueError(
                f"{key[0]} is set, but no certificate for that key; set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE."
            )
        return cls(*(each and each[1] for each in (authority, client, key)))

    def check(self) -> None:
        """Raise a ``ValueError`` that says which file can't be used."""
        with building:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        name, files = "CERTIFICATE", self.authority
        try:
            if self.authority is not None and not Path(self.authority).is_dir():
                context.load_verify_locations(self.authority)
            name, files = "CLIENT_CERTIFICATE", f"{self.client}, key {self.key or 'in it'}"
            if self.client is not None:
                context.load_cert_chain(self.client, self.key, password="")  # without it a prompt would ask for one
        except OSError as error:
            raise ValueError(
                f"OTEL_EXPORTER_OTLP_{name} ({files}) can't be used: {error}. Name a readable PEM file."
            ) from error


def find_provider(transport: str) -> EntryPoint | None:
    """Return the credential provider that the environment names for ``HTTP`` or ``GRPC``, None if it names none."""
    common = f"OTEL_PYTHON_EXPORTER_OTLP_{transport}_"
    source, name = _first_set(f"{common}TRACES_CREDENTIAL_PROVIDER", f"{common}CREDENTIAL_PROVIDER") or ("", "")
    found = [*entry_points(group=_GROUP, name=name)] if name else [None]
    if not found:
        raise ValueError(
            f"{source} is {name!r}, but no installed package has an entry point of that name in the group {_GROUP};"
            " install the one that has it, or correct the name."
        )
    return found[0]


def provided(transport: str, kind: type[_T]) -> _T | None:
    """Return what the credential provider makes, which may take its time; a ``ValueError`` if it is something else."""
    provider = find_provider(transport)
    if provider is None:
        return None
    with building:
        make = provider.load()
    made = make()
    if not isinstance(made, kind):
        raise ValueError(  # noqa: TRY004  a mistake in the environment, as the others
            f"The credential provider {provider.name!r} makes a {type(made).__qualname__}; name one that makes a"
            f" {kind.__qualname__}."
        )
    return made


def _first_set(*names: str) -> tuple[str, str] | None:
    values = ((name, os.environ.get(name, "").strip()) for name in names)
    return next(((name, value) for name, value in values if value), None)
