"""Where checkpoints are published, according to the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from consumers.checkpoints.comparing import Place
from consumers.checkpoints.folder import Folder
from makegood.house.opening import House
from makegood.house.settings import Settings

if TYPE_CHECKING:
    from consumers.kafka.cluster import Cluster


def folder_of(settings: Settings) -> Folder | None:
    """The folder for checkpoints; None where none is configured."""
    return Folder(Path(settings.audit_folder).absolute()) if settings.audit_folder else None


def places_of(house: House, cluster: Cluster | None = None) -> list[Place]:
    """The folder and the topic for checkpoints, each where it is configured. Raises WrongSecurity."""
    folder = folder_of(house.settings)
    places: list[Place] = [folder] if folder is not None else []
    if cluster is not None or house.settings.kafka:
        from consumers.checkpoints.topic import CheckpointTopic
        from makegood.house.broker import cluster_for, topic_names

        places.append(CheckpointTopic(cluster or cluster_for(house), topic_names().checkpoints))
    return places
