"""Only what is known to be public is; all else needs to be allowed by its network."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.addresses import host_fault, is_own_name, literal_of, networks_of, why_not


def words(text: str) -> list[str]:
    return text.split()


NOT_PUBLIC = words("""
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1
    169.254.169.254 169.254.0.1 100.64.0.1 100.100.100.200 100.127.255.255 192.0.0.192 192.0.2.1
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255 192.88.99.1 168.63.129.16
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8
    ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b::8.8.8.8
    64:ff9b:1::7f00:1 64:ff9b:1:ffff::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1
    2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 fc00::1
    fd12:3456::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 100::1 4000::1 5f00::1 8000::1
""")
PUBLIC = words("""
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1
    169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 192.167.255.255 192.169.0.1
    198.17.255.255 198.20.0.1 223.255.255.255 2606:4700:4700::1111 2a00:1450:4001::1 2001:4860::8888
    2620:fe::fe
""")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_refused_with_its_reason(address: str) -> None:
    why = why_not(ip_address(address))
    assert why is not None
    assert str(ip_address(address)) in why


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_let_through(address: str) -> None:
    assert why_not(ip_address(address)) is None


@given(st.ip_addresses(v=4))
def test_no_form_of_ipv4_within_ipv6_is_let_through(address: object) -> None:
    number = int(ip_address(str(address)))
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"):
        assert why_not(IPv6Address(int(IPv6Address(prefix)) + number)) is not None
    assert why_not(IPv6Address(int(IPv6Address("2002::")) + (number << 80))) is not None


@given(st.ip_addresses())
def test_what_python_knows_not_to_be_global_is_never_let_through(address: object) -> None:
    read = ip_address(str(address))
    if not read.is_global or read.is_multicast:
        assert why_not(read) is not None


def test_an_allowed_network_lets_its_own_through_and_nothing_else() -> None:
    allowed = networks_of(["10.1.0.0/16", "fd00:1::/32"])
    for address in ("10.1.2.3", "fd00:1::5"):
        assert why_not(ip_address(address), allowed) is None
    for address in ("10.2.0.1", "127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00:2::1"):
        assert why_not(ip_address(address), allowed) is not None
    assert why_not(ip_address("1.1.1.1"), allowed) is None


def test_without_tls_only_what_is_allowed_is_reached() -> None:
    allowed = networks_of(["10.0.0.0/8"])
    assert why_not(ip_address("10.0.0.1"), allowed, is_plain=True) is None
    assert "without TLS" in (why_not(ip_address("1.1.1.1"), allowed, is_plain=True) or "")


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0X7F.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.256",
        "1.2.3.4.5",
        "127.0.0.1.",
        "localhost.",
        "receiver.example.",
        "0",
        "0x",
        "a.0x7f",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "\u24dbocalhost",
        "[::1]",
        "::1%lo",
        "::1%25lo",
        "fe80::1%eth0",
        ":::1",
        "::12345",
        "127.0.0.1%2f",
        "a b",
        "a..b",
        "",
        "a" * 254,
    ],
)
def test_an_odd_form_of_a_host_is_refused(host: str) -> None:
    assert host_fault(host) is not None


@pytest.mark.parametrize(
    "host",
    words("""
        receiver.example.org Receiver.Example.ORG xn--mnchen-3ya.example 10.0.0.1 ::1 bridge
        a_b.internal 2606:4700::1111 1e100.net 0x7f.example 4chan.org
    """),
)
def test_a_plain_name_or_address_is_none_of_them(host: str) -> None:
    assert host_fault(host) is None


def test_a_literal_is_read_in_its_plain_form_alone() -> None:
    assert literal_of("10.0.0.1") == ip_address("10.0.0.1")
    assert literal_of("::FFFF:127.0.0.1") == ip_address("::ffff:127.0.0.1")
    assert literal_of("127.1") is literal_of("localhost") is None


def test_names_of_this_machine_are_known() -> None:
    assert all(map(is_own_name, ("localhost", "LOCALHOST", "a.localhost", "ip6-loopback")))
    assert not is_own_name("localhost.example.org")
