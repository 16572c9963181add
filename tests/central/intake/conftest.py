"""The HTTP intake over a new pair of files."""

import pytest

from central.intake.online import OnlineIntake
from central.store import Store
from tests.central.intake.online_app import CONFIG, Client


@pytest.fixture
def client(store: Store) -> Client:
    return Client(OnlineIntake(store, CONFIG))
