"""Kafka Streams: the refunds as a state store in RocksDB, beside our projector's table."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from tests.parts.kafka import find_java

from bench.peers import folding
from bench.peers.installing import command, done, installed

SOURCE = Path(__file__).parent / "streams"
POM, PROGRAM = SOURCE / "pom.xml", SOURCE / "Refunds.java"

ABOUT = (
    f"Kafka Streams {ElementTree.parse(POM).findtext('.//{*}kafka.version')} (Java) folds with a processor over a "
    "persistent key-value store with a changelog topic and a record cache of 256 MB; it commits every 30 s and at "
    "the end, at least once, one thread for the one partition, 2 GB of heap. What is not named is as it comes, the "
    "settings of RocksDB too. Its process folds the whole topic once before it is measured, so that the JVM is warm."
)


def program() -> list[str]:
    """What runs it, installed where it is not."""
    folder = installed("streams", [POM, PROGRAM], _install)
    path = os.pathsep.join([str(folder / "classes"), str(folder / "jars" / "*")])
    return [find_java().command, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Xmx2g", "-cp", path, "Refunds"]


def _install(folder: Path) -> None:
    maven = command("mvn", "install Maven (Debian: maven; `make deps` as root)")
    javac = command("javac", "install a JDK, 17 or later (Debian: openjdk-17-jdk-headless)")
    fetching = [maven, "--batch-mode", "--quiet", "--no-transfer-progress", f"--file={POM}"]
    done(
        [*fetching, "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}"],
        "mvn could not fetch the jars of Kafka Streams",
    )
    done(
        [javac, "-d", folder / "classes", "-cp", folder / "jars" / "*", PROGRAM],
        "javac could not compile the program",
    )


PEER = folding.Peer("Kafka Streams", ABOUT, program)
