"""Brings src/ledger/currencies.csv up to ISO 4217's list of currencies, as the installed package iso4217 has it.

A code never leaves the file: one that the list no longer has is marked with the month of the list that dropped it,
and stays readable. A currency never changes its decimals either: amounts that are recorded have the old ones.

The currencies that were withdrawn before this file began, and when, are those of ISO 4217's list three
(https://www.six-group.com/en/products-services/financial-information/market-reference-data/data-standards.html),
which has no decimals; these are OpenJDK's, as far as it keeps them.

    python deploy/currencies.py
"""

import csv
import sys
from pathlib import Path

import iso4217

FILE = Path(__file__).parents[1] / "src" / "ledger" / "currencies.csv"
COLUMNS = ("code", "decimals", "withdrawn")


def brought_up_to_date(kept: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The rows by code, with the list's new codes and without those that it dropped counting as money of today.

    Raises ValueError where the list has other decimals than are kept.
    """
    listed = {money.code: money.exponent for money in iso4217.Currency if money.exponent is not None}
    rows = {}
    for code in sorted(kept | listed):
        row = kept.get(code) or dict(zip(COLUMNS, (code, str(listed[code]), ""), strict=True))
        if code in listed and int(row["decimals"]) != listed[code]:
            raise ValueError(
                f"{code} is kept with {row['decimals']} decimals and ISO 4217 now lists {listed[code]}: amounts are "
                "recorded with the old ones, so decide what becomes of them before you change the file"
            )
        dropped = row["withdrawn"] or f"{iso4217.__published__:%Y-%m}"
        rows[code] = {**row, "withdrawn": "" if code in listed else dropped}
    return rows


def read() -> dict[str, dict[str, str]]:
    """The kept rows, by code."""
    with FILE.open(encoding="ascii", newline="") as file:
        return {row["code"]: row for row in csv.DictReader(file)}


def main() -> None:
    """Write the file again."""
    try:
        rows = brought_up_to_date(read())
    except ValueError as error:
        sys.exit(str(error))
    with FILE.open("w", encoding="ascii", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


if __name__ == "__main__":
    main()
