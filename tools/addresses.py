"""Where an IP address leads: to the public internet, to this machine and its own network, or to no page. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

Kind = Literal["public", "own", "never"]

# This machine and its own network: RFC 1122, RFC 1918, RFC 6598 (a provider's network), RFC 4291, RFC 4193.
_OWN = tuple(
    IPv4Network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_OWN_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
# All of IPv6 that has been given out for use across the internet (RFC 4291), but for tunnels that end at an IPv4
# address of the sender's choice: Teredo (RFC 4380) and 6to4 (RFC 7526 calls for no use of it).
_GLOBAL_V6 = IPv6Network("2000::/3")
_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is reached
# Services of a cloud for its own machines, at addresses that look public: Azure's, Oracle's.
_CLOUD = (IPv4Address("168.63.129.16"), IPv4Address("192.0.0.192"))
_RELAYS = IPv4Network("192.88.99.0/24")  # 6to4 again


def kind_of(address: str) -> Kind:
    """What an IP address is. "never" are those no page lies at: link-local, where clouds keep their machines' secrets,
    multicast, reserved, unspecified, tunnels.

    An IPv4 address inside an IPv6 one counts as itself. Raises ValueError for what is no address.
    """
    found = ip_address(address)
    return _kind_v4(found) if isinstance(found, IPv4Address) else _kind_v6(found)


def _kind_v4(address: IPv4Address) -> Kind:
    if any(address in network for network in _OWN):
        return "own"
    if not address.is_global or address.is_multicast or address in _CLOUD or address in _RELAYS:
        return "never"
    return "public"


def _kind_v6(address: IPv6Address) -> Kind:
    inside = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
    if inside:
        return _kind_v4(inside)
    if any(address in network for network in _OWN_V6):
        return "own"
    if address not in _GLOBAL_V6 or not address.is_global or any(address in network for network in _TUNNELS):
        return "never"
    return "public"
