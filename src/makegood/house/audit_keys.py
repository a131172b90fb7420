"""The file of the signing keys, and the trust policy, according to the settings. Keys are in no database and no log.

A line of the file is a key, in the form of Go's note package; one with `#` before it is a comment. Of each log all
keys sign, so that two stand beside each other while one takes the other's place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from consumers.checkpoints.signing import KeysUnusable
from ledger.audit import KeyInvalid, SignatureType, SigningKey, TrustPolicy, Unproven, VerifierKey
from makegood.house.settings import Settings
from makegood.house.stop import Stop

_TYPES = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)


def key_file(settings: Settings) -> Path:
    """Where the keys are, or are to be."""
    return Path(settings.audit_key).absolute()


def keys_of(settings: Settings, origin: str) -> list[SigningKey]:
    """The keys that sign for a log; none where there is no file or no key of it in there. Raises KeysUnusable."""
    return [key for key in _all_keys(key_file(settings)) if key.name == origin]


def verifier_keys(settings: Settings) -> list[VerifierKey]:
    """The keys that verify what the keys in the file signed; none where there is no file. Raises KeysUnusable."""
    return [key.vkey for key in _all_keys(key_file(settings))]


def _all_keys(file: Path) -> list[SigningKey]:
    keys = []
    for number, line in enumerate(_text_of(file).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.append(SigningKey.from_text(line))
        except KeyInvalid as error:
            raise KeysUnusable(f"line {number} of the key file {file} is not a signing key: {error}") from None
    return keys


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise KeysUnusable(
            f"the key file {file} cannot be read ({error.strerror}): correct MAKEGOOD_AUDIT_KEY, or give the file to "
            "the user who runs makegood"
        ) from None
    except ValueError:
        raise KeysUnusable(f"the key file {file} is not text: correct MAKEGOOD_AUDIT_KEY") from None


def add_keys(settings: Settings, origin: str) -> list[SigningKey]:
    """Make keys for a log, one of each type, and write them to the file; the new ones. What is there stays there.

    Raises Stop where the file has what is no key, and where it cannot be written.
    """
    file = key_file(settings)
    try:
        before = _text_of(file)
        _all_keys(file)
    except KeysUnusable as error:
        raise Stop(str(error)) from None
    keys = [SigningKey.new(origin, type_) for type_ in _TYPES]
    lines = "".join(f"{key.secret_text()}\n" for key in keys)
    if before and not before.endswith("\n"):
        lines = f"\n{lines}"
    try:
        _append(file, lines)
    except OSError as error:
        raise Stop(f"the key file {file} cannot be written ({error.strerror}): correct MAKEGOOD_AUDIT_KEY") from None
    return keys


def _append(file: Path, lines: str) -> None:
    """Append to a file that only its owner may use; it is made where there is none."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, lines.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_to_others(file: Path) -> bool:
    """Whether other users of this machine than its owner may read or change a key file; False where it is missing."""
    with suppress(OSError):
        return bool(stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))
    return False


def trusted_by(settings: Settings) -> TrustPolicy | None:
    """Whose signatures count: as the trust policy says, else by the keys in the key file, where whoever runs this may
    read it; None where neither is there. Raises Stop where the policy cannot be used."""
    if (set_ := policy_of(settings)) is not None:
        return set_
    try:
        ours = verifier_keys(settings)
    except KeysUnusable:
        return None
    return TrustPolicy.of_log(*ours) if ours else None


def policy_of(settings: Settings) -> TrustPolicy | None:
    """The trust policy; None where no file is named. Raises Stop where it cannot be used."""
    if not settings.audit_policy:
        return None
    try:
        return TrustPolicy.from_text(
            Path(settings.audit_policy).read_text(encoding="utf-8", errors="surrogateescape")
        )
    except OSError as error:
        raise Stop(
            f"MAKEGOOD_AUDIT_POLICY names {settings.audit_policy}, which cannot be read ({error.strerror}): "
            "correct the path"
        ) from None
    except Unproven as error:
        raise Stop(f"MAKEGOOD_AUDIT_POLICY, {settings.audit_policy}: {error}") from None


def vkeys_of(keys: Sequence[SigningKey]) -> list[str]:
    """The keys by which the signatures of some keys are verified, as C2SP writes them."""
    return [str(key.vkey) for key in keys]
