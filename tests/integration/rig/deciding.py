"""Fixtures for a file of tests in which one MTA serves all and mailhooks-policy decides, new in each
test: import those that are wanted by name. The file itself defines `mta_of_module`, which finds the
service in the directory `sockets`, and its own `hosts` when its mail servers are others."""

import pytest

from rig import certificates, outbound
from rig import policy as policy_module


@pytest.fixture(scope="module")
def sockets():
    """Where the service listens in every test, so that one MTA serves them all."""
    return outbound.socket_directory()


@pytest.fixture
def policy(sockets):
    service = policy_module.Policy(sockets)
    yield service
    assert service.finish() == []


@pytest.fixture
def hosts(sink, dns):
    """The three mail servers."""
    yield from outbound.three_hosts(sink, dns)


@pytest.fixture
def server(hosts, mta_of_module, policy):
    mta_of_module.begin_test()
    yield mta_of_module
    mta_of_module.end_test()


@pytest.fixture(scope="module")
def authority():
    return certificates.Authority()
