"""What became of an instruction, as whoever had to carry it out says (contract §1a)."""

from __future__ import annotations

from pydantic import AwareDatetime

from ledger.events.envelope import Fact, FactData


class InstructionFactData(FactData):
    """Every answer names the instruction that it answers."""

    instruction_id: str


class InstructionFact(Fact):
    """An answer to an instruction. It moves no money: what was decided is decided."""

    data: InstructionFactData


class InstructionCarriedOut(InstructionFact):
    """Billing or provisioning did what they were told."""

    stored_as = "instruction-carried-out.v1"

    class Data(InstructionFactData):
        carried_out_at: AwareDatetime

    data: Data


class InstructionRefused(InstructionFact):
    """Billing or provisioning will not do what they were told; the reason lies in the vault."""

    stored_as = "instruction-refused.v1"
    data: InstructionFactData
