"""Which addresses are public."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.addresses import kind_of

PUBLIC = "8.8.8.8 1.1.1.1 93.184.216.34 2606:4700::1111 2a00:1450:4001:80b::200e ::ffff:8.8.8.8 64:ff9b::808:808"
OWN = (
    "127.0.0.1 127.8.9.1 10.0.0.5 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 ::1 fc00::1 "
    "fd12:3456::1 ::ffff:127.0.0.1 ::ffff:192.168.1.1 64:ff9b::7f00:1 64:ff9b::a00:1"
)
NEVER = (
    "0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9 192.88.99.1 "
    "224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16 "
    ":: fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 2001:db8::1 100::1 2002:7f00:1:: 2002:808:808:: "
    "2001:0:7f00:1::1 ::127.0.0.1 ::8.8.8.8 64:ff9b:1::808:808 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 4000::1"
)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (address, kind)
        for kind, group in (("public", PUBLIC), ("own", OWN), ("never", NEVER))
        for address in group.split()
    ],
)
def test_each_family_of_addresses_has_its_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_in_an_ipv6_one(address: ipaddress.IPv4Address) -> None:
    assert kind_of(f"::ffff:{address}") == kind_of(str(address)) == kind_of(f"64:ff9b::{address}")


@given(st.ip_addresses())
def test_nothing_that_python_knows_for_private_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inside = getattr(address, "ipv4_mapped", None)
    if (inside or address).is_private or address.is_multicast or address.is_link_local or address.is_unspecified:
        assert kind_of(str(address)) != "public"


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="example"):
        kind_of("example.org")
