"""Addresses: which of them may be visited. Public ones, and those in the networks the owner opened.

The table is ours because `ipaddress.is_global` is wrong on multicast, NAT64 and 6to4 (Python 3.11).
Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; holds one cloud's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent: a public number that never leaves the machine
        "169.254.0.0/16",  # link-local; holds the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; holds one cloud's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
]
_GLOBAL_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
]
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# Ports that speak other protocols and could be made to obey a line of ours.
# Source: Fetch standard, "port blocking" (fetch.spec.whatwg.org/#port-blocking).
BAD_PORTS = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
    530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
    4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})  # fmt: skip


class AddressPolicy:
    """Which addresses may be visited. `allow_networks` are CIDR ranges; a wrong one is a ValueError."""

    def __init__(self, allow_networks: Sequence[str] = ()) -> None:
        self._open = [ipaddress.ip_network(network) for network in allow_networks]

    def objection(self, address: str, port: int) -> str | None:
        """What speaks against a visit, as the end of a sentence that begins with the host; None: nothing.

        It never names the address: that would draw a map of the network behind us.
        """
        known = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
            known = known.ipv4_mapped
        if any(known in network for network in self._open):
            return None
        if not is_public(known):
            return "is not a public address"
        return f"uses port {port}, which is not for web traffic" if port in BAD_PORTS else None


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, whatever it is wrapped in."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if inner := _wrapped(address):
        return all(map(is_public, inner))
    return address in _GLOBAL_UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _wrapped(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 one leads to: mapped, compatible, NAT64, 6to4, Teredo."""
    if address in _IPV4_COMPATIBLE or address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.teredo is not None:
        return address.teredo
    found = address.ipv4_mapped or address.sixtofour
    return (found,) if found is not None else ()
