"""Used with a generated client: every module is loaded, a message is sent in each mode, and answers are read."""

import importlib
import json
import os
import pkgutil
import sys

sys.path.insert(0, ".")

import makegood_client
from makegood_client import AuthenticatedClient
from makegood_client.models import CloudEvent, CloudEventData

for module in pkgutil.walk_packages(makegood_client.__path__, "makegood_client."):
    importlib.import_module(module.name)

accounts, messages = (importlib.import_module(f"makegood_client.api.{tag}") for tag in ("accounts", "messages"))
said = json.loads(sys.argv[1])


def called(tag: object, name: str, key: str, **given: object) -> object:
    """What an operation of the generated client answers."""
    module = importlib.import_module(f"{tag.__name__}.{name}")  # type: ignore[attr-defined]
    address, token = os.environ["ADDRESS"], os.environ[key]
    client = AuthenticatedClient(base_url=address, token=token, raise_on_unexpected_status=True)
    return module.sync(client=client, **given)


event = CloudEvent.from_dict(said)
assert event.to_dict() | {"time": said["time"]} == said  # it writes Z as +00:00
binary = {f"ce_{name}": value for name, value in said.items() if name != "data"}
data = CloudEventData.from_dict(said["data"])
outcomes = {
    "structured": called(messages, "publish_events_post", "PROVISIONING", body=event),
    "binary": called(messages, "publish_events_post", "PROVISIONING", body=data, **binary),
    "batch": called(messages, "publish_batch_events_batch_post", "PROVISIONING", body=[event]),
}
account = called(accounts, "account_accounts_account_id_get", "AUDITOR", account_id="acct-1")
history = called(accounts, "history_accounts_account_id_history_get", "AUDITOR", account_id="acct-1")
print(
    json.dumps(
        {name: answer.outcomes[0].outcome for name, answer in outcomes.items()}
        | {"account": account.to_dict(), "history": [row.to_dict() for row in history]}
    )
)
