"""Whether a Docker engine answers here. Asked once per run, and never for longer than two seconds."""

import functools


@functools.cache
def engine() -> str | None:
    """The version of the Docker engine that answers, or None.

    The SDK is asked, not the `docker` command: a command without an engine is common, and so is a socket that hangs.
    """
    try:
        import docker

        client = docker.from_env(timeout=2)
        try:
            client.ping()
            return str(client.version().get("Version", "of unknown version"))
        finally:
            client.close()
    except Exception:  # whatever is wrong with it, there is no engine for us
        return None
