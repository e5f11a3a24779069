# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a MaxMind DB (format 2.0): write(PATH, {'192.0.2.0/24': {'country': {'iso_code': 'AT'}}, '2001:db8::/32': ...})."""
import ipaddress, struct


class _U16(int):
    pass


class _U64(int):
    pass


def _control(kind, size):
    """The control byte and what follows it; sizes of 29 and more take another byte, types above 7 as well."""
    first, more = (size, b'') if size < 29 else (29, bytes([size - 29]))
    return bytes([kind << 5 | first]) + more if kind < 8 else bytes([first, kind - 7]) + more


def _encode(v):
    if isinstance(v, dict):
        return _control(7, len(v)) + b''.join(_encode(k) + _encode(x) for k, x in v.items())
    if isinstance(v, list):
        return _control(11, len(v)) + b''.join(map(_encode, v))
    if isinstance(v, str):
        return _control(2, len(v.encode())) + v.encode()
    kind, size = (5, 2) if isinstance(v, _U16) else (9, 8) if isinstance(v, _U64) else (6, 4)
    return _control(kind, size) + v.to_bytes(size, 'big')


def write(path, networks):
    """IPv4 lies at ::/96, where the readers look for it."""
    nodes, data = [[None, None]], b''
    for text, value in networks.items():
        net = ipaddress.ip_network(text)
        length = net.prefixlen + (96 if net.version == 4 else 0)
        bits, at = int(net.network_address), 0
        for i in range(length):
            b = bits >> (127 - i) & 1
            if i == length - 1:
                nodes[at][b] = ('data', len(data))
            else:
                if not isinstance(nodes[at][b], int):
                    nodes.append([None, None])
                    nodes[at][b] = len(nodes) - 1
                at = nodes[at][b]
        data += _encode(value)
    n = len(nodes)
    record = lambda r: n if r is None else n + 16 + r[1] if isinstance(r, tuple) else r
    meta = {'node_count': n, 'record_size': _U16(24), 'ip_version': _U16(6), 'database_type': 'Test', 'languages': ['en'],
            'binary_format_major_version': _U16(2), 'binary_format_minor_version': _U16(0), 'build_epoch': _U64(1700000000),
            'description': {'en': 'made for a test'}}
    with open(path, 'wb') as f:
        for left, right in nodes:
            f.write(struct.pack('>I', record(left))[1:] + struct.pack('>I', record(right))[1:])
        f.write(b'\0' * 16 + data + b'\xab\xcd\xefMaxMind.com' + _encode(meta))
