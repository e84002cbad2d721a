"""A model's character for its card: what was measured of which weights and data, and by which policy.

The digest is over the canonical JSON of everything else (keys sorted, no blanks), so that a change of any
value is noticed. It is no signature: whoever changes a value can compute another digest. What the file names
by digest (models, data, policy) can be held against the things themselves, which `verify` does.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from mindscope.core import ModelIdentity
from mindscope.gate.policy import GatePolicy, read_policy
from mindscope.gate.results import GateCheck, GateResult, SectionName, Verdict
from mindscope.store import Document, SavedDocument, read_json


class CharacterCheck(GateCheck):
    """A check, with the section that it belongs to."""

    section: SectionName
    decides: bool


class ModelCharacter(SavedDocument):
    """The content of `character.json`."""

    SCHEMA: ClassVar[str] = "mindscope.character/1"

    base: ModelIdentity
    tuned: ModelIdentity
    data: str
    data_digest: str
    """sha256 of every byte of the data."""
    judge: str | None
    traits: dict[str, str]
    """The digest of each trait's vectors."""
    policy: GatePolicy
    policy_digest: str
    verdict: Verdict
    checks: tuple[CharacterCheck, ...]
    digest: str = ""
    """sha256 of the canonical JSON of all the rest."""

    @classmethod
    def of(cls, result: GateResult) -> ModelCharacter:
        """What a gate found, without answers and samples."""
        made = cls(
            base=_published(result.base.identity),
            tuned=_published(result.tuned.identity),
            data=result.data,
            data_digest=result.data_digest,
            judge=result.judge,
            traits=result.traits,
            policy=result.policy,
            policy_digest=result.policy_digest,
            verdict=result.verdict,
            checks=tuple(
                CharacterCheck(**dict(check), section=section.name, decides=section.decides)
                for section in result.sections
                for check in section.checks
            ),
        )
        return made.model_copy(update={"digest": made.expected_digest()})

    def expected_digest(self) -> str:
        """What the digest has to be."""
        return digest_character({"schema": self.SCHEMA, **self.to_json()})


def _published(identity: ModelIdentity) -> ModelIdentity:
    """The identity as it may be published: of a folder's path only the last part."""
    base = identity.base and _published(identity.base)
    name = identity.name
    if name is not None and Path(name).exists():
        name = Path(name).name
    return identity.model_copy(update={"name": name, "base": base})


def digest_character(document: dict[str, Any]) -> str:
    """sha256 of a document's canonical JSON without its digest."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class VerifiedPart(Document):
    """Something that the file names, held against the thing itself."""

    part: str
    """digest, base, tuned, data or policy."""
    right: bool
    says: str
    """The digest in the file, its beginning."""
    found: str
    """That of what was given."""


def read_character(path: Path) -> tuple[ModelCharacter, VerifiedPart]:
    """The document, and whether its digest is that of its content.

    Raises:
        DataError: it is another document, or damaged.
        StoreError: it is not there, or no JSON.
    """
    document = read_json(path)
    character = ModelCharacter.load(path)
    # Of the file as it is, and not of what was read from it: defaults must not hide a field that was removed.
    found = digest_character(document)
    return character, compare_part("digest", character.digest, found)


def compare_part(part: str, says: str, found: str) -> VerifiedPart:
    """Whether two digests are the same; their beginnings are shown."""
    return VerifiedPart(part=part, right=says == found, says=says[:16], found=found[:16])


def compare_policy(character: ModelCharacter, path: Path) -> VerifiedPart:
    """Whether a policy file is the one that was judged by."""
    return compare_part("policy", character.policy_digest, read_policy(path).digest())
