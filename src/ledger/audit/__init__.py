"""What proves that nothing was changed, to anybody: the Merkle tree over stored envelopes, checkpoints and proofs.

Without a database, a clock or a file; the formats are C2SP's (signed-note, tlog-checkpoint, tlog-cosignature,
tlog-proof, tlog-tiles, tlog-policy), the tree is that of RFC 6962 and RFC 9162.
"""

from ledger.audit.checkpoint import Checkpoint, CheckpointInvalid
from ledger.audit.leaf import leaf_digest, leaf_hash, node_digest
from ledger.audit.note import (
    KeyInvalid,
    Note,
    NoteInvalid,
    Signature,
    SignatureInvalid,
    SignatureType,
    SigningKey,
    VerifierKey,
    is_key_name,
)
from ledger.audit.proof import ConsistencyProof, LogProof
from ledger.audit.signing import NotSigned, Verified, signed, verified_log_signatures, verified_signatures
from ledger.audit.tiles import (
    TILE_WIDTH,
    Tile,
    TileInvalid,
    TileTree,
    bundles_of,
    entries_in,
    entry_bundle,
    tile_at,
    tile_path,
    tiles_after,
    tiles_of,
)
from ledger.audit.tree import (
    EMPTY_ROOT,
    CompactRange,
    OutsideTree,
    ProofInvalid,
    Tree,
    compact_range,
    consistency_proof,
    inclusion_proof,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from ledger.audit.trust_policy import NotTrusted, PolicyInvalid, Trusted, TrustPolicy
from ledger.audit.unproven import Unproven

__all__ = [
    "EMPTY_ROOT",
    "TILE_WIDTH",
    "Checkpoint",
    "CheckpointInvalid",
    "CompactRange",
    "ConsistencyProof",
    "KeyInvalid",
    "LogProof",
    "NotSigned",
    "NotTrusted",
    "Note",
    "NoteInvalid",
    "OutsideTree",
    "PolicyInvalid",
    "ProofInvalid",
    "Signature",
    "SignatureInvalid",
    "SignatureType",
    "SigningKey",
    "Tile",
    "TileInvalid",
    "TileTree",
    "Tree",
    "TrustPolicy",
    "Trusted",
    "Unproven",
    "Verified",
    "VerifierKey",
    "bundles_of",
    "compact_range",
    "consistency_proof",
    "entries_in",
    "entry_bundle",
    "inclusion_proof",
    "is_key_name",
    "leaf_digest",
    "leaf_hash",
    "node_digest",
    "root_at",
    "root_of",
    "signed",
    "tile_at",
    "tile_path",
    "tiles_after",
    "tiles_of",
    "verified_log_signatures",
    "verified_signatures",
    "verify_consistency",
    "verify_inclusion",
]
