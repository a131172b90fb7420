"""Answers to instructions, from the systems that carry them out (contract §1a)."""

from __future__ import annotations

from pydantic import AwareDatetime

from ledger.events.envelope import Fact, FactData


class InstructionFactData(FactData):
    """Every answer names the instruction that it answers."""

    instruction_id: str


class InstructionFact(Fact):
    """An answer to an instruction. It moves no money and changes no decision."""

    data: InstructionFactData


class InstructionCarriedOut(InstructionFact):
    """Billing or provisioning carried out an instruction."""

    stored_as = "instruction-carried-out.v1"

    class Data(InstructionFactData):
        carried_out_at: AwareDatetime

    data: Data


class InstructionRefused(InstructionFact):
    """Billing or provisioning refused an instruction; the reason is in the vault."""

    stored_as = "instruction-refused.v1"
    data: InstructionFactData
