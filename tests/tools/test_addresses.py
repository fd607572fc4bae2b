import pytest

from jobreel.tools.addresses import AddressPolicy

PUBLIC = [
    "1.1.1.1",
    "100.128.0.1",
    "168.63.129.17",
    "2606:4700::1111",
    "64:ff9b::101:101",  # NAT64 of 1.1.1.1
    "2002:101:101::",  # 6to4 of 1.1.1.1
    "::ffff:1.1.1.1",
    "2001:0:101:101:0:ffff:fefe:fefe",  # Teredo: server 1.1.1.1, client 1.1.1.1
]
NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:0:7f00:1",  # IPv4-translated
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1:0:ffff:fefe:fefe",  # Teredo through a server on loopback
    "2001:0:101:101:0:ffff:80ff:fffe",  # Teredo to the client 127.0.0.1
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_visited(address: str) -> None:
    assert AddressPolicy().objection(address, 443) is None


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_address_inside_a_network_may_be_visited_however_it_is_wrapped(address: str) -> None:
    assert AddressPolicy().objection(address, 443) == "is not a public address"


@pytest.mark.parametrize("address", ["127.0.0.2", "::ffff:127.0.0.2", "fd00::7"])
def test_an_opened_network_may_be_visited(address: str) -> None:
    policy = AddressPolicy(["127.0.0.2/32", "fd00::/8"])

    assert policy.objection(address, 5678) is None


def test_opening_one_network_opens_no_other() -> None:
    policy = AddressPolicy(["127.0.0.2/32"])

    assert policy.objection("127.0.0.3", 80) is not None
    assert policy.objection("64:ff9b::7f00:2", 80) is not None


@pytest.mark.parametrize("port", [0, 22, 25, 6000, 10080])
def test_ports_of_other_protocols_are_refused_on_the_internet(port: int) -> None:
    assert AddressPolicy().objection("1.1.1.1", port) == f"uses port {port}, which is not for web traffic"


@pytest.mark.parametrize("port", [80, 443, 5678, 8080, 9000])
def test_usual_ports_are_open_on_the_internet(port: int) -> None:
    assert AddressPolicy().objection("1.1.1.1", port) is None


def test_any_port_is_open_in_an_opened_network() -> None:
    assert AddressPolicy(["10.0.0.0/8"]).objection("10.1.2.3", 22) is None


@pytest.mark.parametrize("wrong", ["n8n", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_wrong_network_is_refused_at_start(wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        AddressPolicy([wrong])
