"""Evidence packs: complete accounts with proofs, samples that anybody draws again, and changes that are noticed."""

from __future__ import annotations

import csv
import json
import random
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ledger.audit import LogProof, TrustPolicy, leaf_digest, leaf_hash
from ledger.store.connecting import connect
from ledger.store.database import beside
from makegood.answers.audit.checkpoints import new_key, sign_now
from makegood.answers.audit.closings import incomplete_closings
from makegood.evidence import verify
from makegood.evidence.verifier import verifier
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import Door
from tests.door.test_reperform import forge, forge_amount


def checkpoint(door: Door, folder: Path) -> list[str]:
    """Sign a checkpoint over everything; the keys that verify it."""
    settings = Settings(store=door.store, audit_key=str(folder / "audit.key"))
    with open_house(settings, restored=True) as house:
        new_key(house, 0)
        return sign_now(house, 0, [], None, lambda size: None)["vkeys"]


def read(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode(), newline="")))


def repacked(packed: dict[str, bytes], file: Path) -> Path:
    """A pack of these files whose digests are those that it names, as a forger would leave it."""
    told = json.loads(packed["pack.json"])
    told["files"] = {name: sha256(content).hexdigest() for name, content in packed.items() if name != "pack.json"}
    return written({**packed, "pack.json": json.dumps(told).encode()}, file)


def written(packed: dict[str, bytes], file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as out:
        for name, content in packed.items():
            out.writestr(name, content)
    return file


PROVEN = ("entries/", "agreements/", "manifests/", "sample.csv")
"""The files of which any change is found even where the pack names their new digests."""


def changed_somewhere(packed: dict[str, bytes], chance: random.Random) -> tuple[str, dict[str, bytes]]:
    """The pack with a byte changed or put in, or a file cut or taken out; and which file that is."""
    name = chance.choice(sorted(packed.keys() - {"pack.json"}))
    content = packed[name]
    at = chance.randrange(len(content))
    other = bytes([content[at] ^ chance.randint(1, 255)])
    ways = (content[:at] + other + content[at + 1 :], content[:at] + other + content[at:], content[:at], None)
    changed = chance.choice(ways)
    left = {each: of for each, of in packed.items() if each != name}
    return name, left if changed is None else {**left, name: changed}


def verified(file: Path, vkeys: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of verify.py for a pack, and what it says."""
    code = verify.main(["pack", str(file), *(word for vkey in vkeys for word in ("--key", vkey))])
    said = capsys.readouterr()
    return code, said.out + said.err


def forgeries(packed: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Packs that say something else than the log, each with a word of what is found."""
    told = json.loads(packed["pack.json"])
    account = told["accounts"][0]
    shard, number = account["events"][-1].split(":")
    entry, proof = f"entries/{shard}/{int(number):012}.json", f"proofs/{shard}/{int(number):012}.tlog-proof"
    yield "does not lead", {**packed, entry: packed[entry].replace(b'"actor":"', b'"actor":"x')}
    yield "no proof", {name: content for name, content in packed.items() if name != proof}
    shorter = {**account, "events": account["events"][:-1]}
    cut = {**packed, "pack.json": json.dumps({**told, "accounts": [shorter, *told["accounts"][1:]]}).encode()}
    yield "head", cut
    yield "not in the account's chain", cut
    agreement = told["agreements"][0]["file"]
    yield "not the one that was published", {**packed, agreement: packed[agreement] + b"# "}
    manifest = told["closing"]["manifest"]
    yield "manifest", {**packed, manifest: b"".join(packed[manifest].splitlines(keepends=True)[1:])}
    if "sample.csv" in packed:
        yield "seed", {**packed, "sample.csv": b"".join(packed["sample.csv"].splitlines(keepends=True)[:-1])}
        yield (
            "closing counts",
            {
                **packed,
                "population.csv": packed["population.csv"] + packed["population.csv"].splitlines(keepends=True)[-1],
            },
        )


def check(packed: dict[str, bytes], vkeys: list[str]) -> dict[str, Any]:
    """What an auditor checks with tools for C2SP's formats and SHA-256; what the pack says of itself."""
    told = json.loads(packed["pack.json"])
    digests = {name: sha256(content).hexdigest() for name, content in packed.items() if name != "pack.json"}
    assert told["files"] == digests
    policy = TrustPolicy.from_text("".join(f"log {vkey}\n" for vkey in vkeys) + "quorum none\n")
    hashes = {}
    for name in packed:
        if name.startswith("entries/"):
            proof = LogProof.from_text(
                packed[name.replace("entries", "proofs").replace(".json", ".tlog-proof")].decode()
            )
            trusted = proof.verify(leaf_digest(packed[name]), policy)
            shard, position = name.removeprefix("entries/").removesuffix(".json").split("/")
            assert proof.index == int(position) - 1
            assert trusted.checkpoint.size == told["logs"][0]["size"]
            hashes[f"{shard}:{int(position)}"] = packed[name]
    for account in told["accounts"]:
        previous = None
        for version, position in enumerate(account["events"], start=1):
            said = json.loads(hashes[position])
            assert (said["account"], said["previous"]) == (account["account_id"], previous)
            previous = leaf_hash(hashes[position])
            last = version
        assert account["head"] == {"version": last, "position": position, "leaf_hash": previous}
    for agreement in told["agreements"]:
        assert sha256(packed[agreement["file"]]).hexdigest() == agreement["sha256"]
        assert json.loads(hashes[agreement["published_at"]])["data"]["text"].encode() == packed[agreement["file"]]
    if told["closing"]:
        closed = json.loads(hashes[told["closing"]["event"]])["data"]
        manifest = packed[told["closing"]["manifest"]]
        assert sha256(manifest).hexdigest() == closed["figures"]["manifest"]["sha256"]
        heads = {row["account_id"]: row for row in map(json.loads, manifest.splitlines())}
        for account in told["accounts"]:
            row = heads[account["account_id"]]
            assert leaf_hash(hashes[account["events"][row["version"] - 1]]) == row["leaf_hash"]
    return told


def test_evidence_of_an_account(
    twenty_accounts_in_july: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of an account with proofs, in the same bytes whenever it is asked for, without the vault."""
    door, file = twenty_accounts_in_july, tmp_path / "evidence.zip"
    door("period", "close", "2026-06", "--as", "felix")
    claim = next(row for row in door.json("claims") if row["outcome"] == "granted")
    account = claim["account_id"]
    door("audit", "evidence", "--account", account, "--to", str(file), exits=1)
    assert "makegood audit checkpoint" in door.errors
    vkeys = checkpoint(door, tmp_path)
    if door.store.startswith("sqlite"):
        Path(beside(door.store, "vault").removeprefix("sqlite:///")).unlink()
    done = door.json("audit", "evidence", "--account", account, "--to", str(file))
    packed = read(file)
    told = check(packed, vkeys)
    assert packed["verify.py"].decode() == verifier()
    assert done["sha256"] == sha256(file.read_bytes()).hexdigest()
    assert done["events"] == sum(name.startswith("entries/") for name in packed)
    assert (done["accounts"], done["later"]) == (1, 0)
    assert claim["claim_id"] in told["accounts"][0]["claims"]
    assert len(told["accounts"][0]["claims"]) == done["claims"]
    (explained,) = (
        each for each in json.loads(packed["accounts/0000/explanations.json"]) if each["id"] == claim["claim_id"]
    )
    assert explained["formula"] in packed["accounts/0000/explanations.txt"].decode()
    journal = rows(packed["accounts/0000/journal.csv"])
    assert {row["claim_id"] for row in journal} >= {claim["claim_id"]}
    assert len(rows(packed["accounts/0000/history.csv"])) == len(told["accounts"][0]["events"])
    assert account in packed["README.txt"].decode()
    again = door.json("audit", "evidence", "--account", account, "--to", str(tmp_path / "again.zip"))
    assert again == done
    one = tmp_path / "one.zip"
    door(
        "audit",
        "evidence",
        "--account",
        account,
        "--period",
        "2026-06",
        "--claim",
        claim["claim_id"],
        "--to",
        str(one),
    )
    told = check(read(one), vkeys)
    assert told["accounts"][0]["claims"] == [claim["claim_id"]]
    assert told["closing"]["period"] == "2026-06"
    door("audit", "evidence", "--account", account, "--claim", "unused/none", "--to", str(tmp_path / "no"), exits=1)
    assert "unused/none" in door.errors
    assert not (tmp_path / "no").exists()
    door("audit", "evidence", "--account", "system", "--period", "2026-06", "--to", str(tmp_path / "system.zip"))
    assert check(read(tmp_path / "system.zip"), vkeys)["accounts"][0]["account_id"] == "system"
    assert verified(tmp_path / "system.zip", vkeys, capsys)[0] == 0
    door("audit", "evidence", "--account", "nobody", "--to", str(tmp_path / "no"), exits=1)


def test_what_was_changed_gives_no_evidence(twenty_accounts_in_july: Door, tmp_path: Path) -> None:
    """An event that is not the one in the log, and a chain that lacks its end."""
    door = twenty_accounts_in_july
    checkpoint(door, tmp_path)
    claim = next(row for row in door.json("claims") if row["outcome"] == "granted")
    position = forge_amount(door.store, claim)
    asked = ("audit", "evidence", "--account", claim["account_id"], "--to", str(tmp_path / "e.zip"))
    door(*asked, exits=1)
    assert position in door.errors
    with closing(connect(door.store)) as database, database.writing() as transaction:
        last = "SELECT MAX(account_version) FROM events WHERE account = ?"
        version = transaction.rows(last, (claim["account_id"],))[0][0]
        transaction.run(
            "DELETE FROM events WHERE account = ? AND account_version = ?", (claim["account_id"], version)
        )
    door(*asked, exits=1)
    assert "head" in door.errors


@pytest.mark.parametrize("by", ["row", "money"])
def test_a_sample_is_drawn_again_from_its_population(
    twenty_accounts_in_july: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    door, file = twenty_accounts_in_july, tmp_path / "sample.zip"
    closed = door.json("period", "close", "2026-06", "--as", "felix")
    vkeys = checkpoint(door, tmp_path)
    asked = ("audit", "sample", "--period", "2026-06", "--size", "4", "--seed", "42", "--by", by)
    done = door.json(*asked, "--to", str(file))
    packed = read(file)
    told = check(packed, vkeys)
    population, drawn = rows(packed["population.csv"]), rows(packed["sample.csv"])
    assert told["population"]["rows"] == len(population) == sum(total["count"] for total in closed["totals"])
    assert told["population"]["sums"] == closed["totals"]
    assert {row["account_id"] for row in drawn} == {each["account_id"] for each in told["accounts"]}
    if by == "row":
        rank = sorted(population, key=lambda row: sha256(f"42:{row['event_id']}:{row['number']}".encode()).digest())
        assert sorted(map(str, rank[:4])) == sorted(map(str, drawn))
    else:
        units = [n for n, row in enumerate(population) for _ in range(int(row["minor_units"]))]
        hits = [int(sha256(f"42:{i}".encode()).hexdigest(), 16) % len(units) for i in range(1, 5)]
        assert drawn == [population[n] for n in sorted({units[hit] for hit in hits})]
    code, said = verified(file, vkeys, capsys)
    assert (code, said.count("BAD")) == (0, 0), said
    for found, forged in forgeries(packed):
        code, said = verified(repacked(forged, tmp_path / "forged.zip"), vkeys, capsys)
        assert (code, found in said) == (2, True), (found, said)
    chance = random.Random(by)
    for _ in range(6):
        name, changed = changed_somewhere(packed, chance)
        kept = name.startswith(PROVEN)
        forged = repacked(changed, tmp_path / "forged.zip") if kept else written(changed, tmp_path / "forged.zip")
        assert verified(forged, vkeys, capsys)[0] == 2, name
    door(*asked, "--to", str(tmp_path / "again.zip"))
    assert sha256((tmp_path / "again.zip").read_bytes()).hexdigest() == done["sha256"]
    other = (*asked[:6], "--seed", "43", "--by", by)
    assert door.json(*other, "--to", str(tmp_path / "other.zip"))["sha256"] != done["sha256"]
    door("audit", "sample", "--period", "2020-01", "--size", "4", "--seed", "1", "--to", str(tmp_path / "n"), exits=1)


# --- no account and no tail is missing ----------------------------------------------------------------------------


def bad_closings(door: Door) -> list[tuple[str, str | None, str]]:
    with open_house(Settings(store=door.store), restored=True) as house:
        return [(str(each.at), each.account, each.what) for each in incomplete_closings(house)]


def test_a_closed_month_shows_accounts_and_tails_that_are_gone(twenty_accounts_in_july: Door) -> None:
    """The last event of an account is taken out of the store, then all of it, from under two closed months."""
    door = twenty_accounts_in_july
    covers = [door.json("period", "close", month, "--as", "felix") for month in ("2026-05", "2026-06")]
    assert bad_closings(door) == []
    assert door.json("audit", "verify")["ok"]
    of_account = "SELECT MAX(account_version) FROM events WHERE account = 'acct-0007'"
    with closing(connect(door.store)) as database, database.writing() as transaction:
        last = transaction.rows(of_account)[0][0]
        transaction.run("DELETE FROM events WHERE account = 'acct-0007' AND account_version = ?", (last,))
    found = bad_closings(door)
    assert [account for _, account, _ in found] == ["system", "system"]
    for (_, _, what), closed in zip(found, covers, strict=True):
        assert f"covers {closed['accounts']} accounts with {closed['events']} events" in what
        assert f"the log has {closed['accounts']} with {closed['events'] - 1}" in what
    with closing(connect(door.store)) as database, database.writing() as transaction:
        transaction.run("DELETE FROM events WHERE account = 'acct-0007'")
    assert all(f"the log has {closed['accounts'] - 1} with" in what for _, _, what in bad_closings(door))


def test_another_event_under_a_closed_month(twenty_accounts_in_july: Door) -> None:
    """Nothing is gone, and one event says something else, with all after it chained anew."""
    door = twenty_accounts_in_july
    door("period", "close", "2026-06", "--as", "felix")

    def other_channel(said: dict[str, Any]) -> bool:
        said["channel"] = "elsewhere"
        return True

    forge(door.store, "acct-0007", other_channel)
    ((_, _, what),) = bad_closings(door)
    assert "which are others" in what
