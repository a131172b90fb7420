"""Records as no well-behaved client sends them, by the C library that our client is made of."""

import ctypes
from pathlib import Path

import confluent_kafka

_END, _TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADER = 0, 1, 3, 4, 5, 7, 9
_COPY = 2
_PRODUCER = 0


def send_raw(
    bootstrap: str, topic: str, value: bytes, *, header: bytes, key: bytes = b"", partition: int = 0
) -> None:
    """Send one record with a header whose name is any bytes at all."""
    library = ctypes.CDLL(
        str(next(Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*")))
    )
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    said = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap.encode(), said, len(said))
    producer = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, settings, said, len(said)))
    assert producer, said.value
    failed = library.rd_kafka_producev(
        producer,
        *(_TOPIC, ctypes.c_char_p(topic.encode()), _PARTITION, ctypes.c_int(partition), _FLAGS, ctypes.c_int(_COPY)),
        *(_VALUE, ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(_KEY, ctypes.c_char_p(key), ctypes.c_size_t(len(key))),
        *(_HEADER, ctypes.c_char_p(header), ctypes.c_char_p(b"x"), ctypes.c_ssize_t(1)),
        _END,
    )
    assert not failed
    assert not library.rd_kafka_flush(producer, 15_000)
    library.rd_kafka_destroy(producer)
