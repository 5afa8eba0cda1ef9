"""The S3 store over TLS: another way of sending, and a server whose certificate counts."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.blobs.s3 import S3Blobs
from domain.clock import SystemClock
from domain.errors import StoreUnavailable
from tests.support.blobs import KEY, MIB, Record, read, sha256, some_bytes
from tests.support.s3 import serve, settings_for


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server for tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("part_slots_max", [0, 8], ids=["files", "memory"])
async def test_what_goes_up_over_tls_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boto_session: boto3.Session, part_slots_max: int
) -> None:
    certificate = make_certificate(tmp_path)
    content = some_bytes(11 * MIB)
    with serve(tmp_path / "s3", certificate=certificate) as server:
        settings = settings_for(server, part_slots_max=part_slots_max)

        async with S3Blobs(settings, clock=SystemClock(), spool=tmp_path, session=boto_session) as blobs:
            with pytest.raises(StoreUnavailable):
                await (await Record.begin(blobs)).append(b"to a stranger")

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
        async with S3Blobs(settings, clock=SystemClock(), spool=tmp_path, session=boto3.Session()) as blobs:
            record = await Record.begin(blobs, length=len(content))
            await record.append(content[:100_000])
            await record.finish(content)
            assert sha256(content) == sha256(await read(blobs, KEY))
